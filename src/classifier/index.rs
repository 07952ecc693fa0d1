//! The index of a semantic policy: the vectors of its routes, and how a prompt scores at each of them.
//!
//! A route's score is the mean of two cosines: that of the prompt with the nearest utterance, and that with the
//! centroid of all the route's utterances. It was the best or nearly the best of four formulas on every set of data
//! that was measured, and needs nothing fitted (`docs/semantic-routing.md`).

use std::ops::Range;

use super::vector::Vector;

/// How a policy decides whether its best route fits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Threshold {
    /// By a number that somebody chose.
    Fixed(f32),
    /// By this quantile of the scores that the policy's own utterances have, each left out of its route.
    Auto(f32),
}

/// The vectors of all routes.
#[derive(Debug)]
pub struct Index {
    vectors: Vec<Vector>,
    routes: Vec<IndexedRoute>,
    threshold: f32,
}

#[derive(Debug)]
struct IndexedRoute {
    utterances: Range<usize>,
    centroid: Vector,
    threshold: f32,
}

/// The score of a prompt at one route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteScore {
    /// The largest cosine over the route's utterances.
    pub nearest: f32,
    /// The cosine with their centroid.
    pub centroid: f32,
}

impl RouteScore {
    /// Returns the score.
    #[must_use]
    pub fn score(self) -> f32 {
        f32::midpoint(self.nearest, self.centroid)
    }
}

/// The scores of a prompt at all routes.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The score at each route, in the order of the policy file.
    pub routes: Vec<RouteScore>,
    /// The best route.
    pub best: usize,
    /// The second best; `None` where there is only one.
    pub second: Option<usize>,
    /// What the best route's score must reach.
    pub threshold: f32,
}

impl Scores {
    /// Returns the best route's score.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.routes[self.best].score()
    }

    /// Returns the best route, if its score reaches the threshold.
    #[must_use]
    pub fn matched(&self) -> Option<usize> {
        (self.score() >= self.threshold).then_some(self.best)
    }

    /// Returns whether the decision is a close one: the best score is within `margin` of its threshold, or it reaches
    /// the threshold and the second best is within `margin` of it.
    #[must_use]
    pub fn is_close(&self, margin: f32) -> bool {
        let lead = self.second.map_or(f32::INFINITY, |second| self.score() - self.routes[second].score());
        (self.score() - self.threshold).abs() <= margin || self.matched().is_some() && lead <= margin
    }
}

/// How well the routes of an index are kept apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The utterances that are more like another route than like their own.
    pub strays: Vec<Stray>,
    /// The share of all pairs of an utterance and a route that is not its own in which the threshold lets it through.
    pub let_through: f32,
}

/// An utterance that is more like another route than like its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stray {
    /// Its route.
    pub route: usize,
    /// Its position in the route.
    pub utterance: usize,
    /// Its score at its own route, with itself left out.
    pub own: f32,
    /// The route where its score is higher.
    pub nearer: usize,
    /// Its score there.
    pub score: f32,
}

impl Index {
    /// Builds the index of routes, each with its vectors and its own threshold. There is at least one route, each has
    /// at least one vector, and all vectors have the same number of dimensions.
    ///
    /// # Errors
    /// A route whose vectors cancel each other out, by its position; or no score to take a quantile of.
    pub fn new(routes: Vec<(Vec<Vector>, Option<f32>)>, threshold: Threshold) -> Result<Self, IndexError> {
        let threshold = match threshold {
            Threshold::Fixed(number) => number,
            Threshold::Auto(share) => {
                let vectors = routes.iter().map(|(vectors, _)| &**vectors);
                let is_needed = routes.iter().any(|(_, own)| own.is_none());
                auto_threshold(vectors, share).or((!is_needed).then_some(1.0)).ok_or(IndexError::NoScores)?
            }
        };
        let (mut vectors, mut indexed) = (Vec::new(), Vec::with_capacity(routes.len()));
        for (route, (own, own_threshold)) in routes.into_iter().enumerate() {
            let centroid = Vector::centroid(&own).ok_or(IndexError::NoCentroid(route))?;
            let utterances = vectors.len()..vectors.len() + own.len();
            indexed.push(IndexedRoute { utterances, centroid, threshold: own_threshold.unwrap_or(threshold) });
            vectors.extend(own);
        }
        Ok(Self { vectors, routes: indexed, threshold })
    }

    /// Returns the number of dimensions of its vectors.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.vectors.first().map_or(0, Vector::dimensions)
    }

    /// Returns the threshold of routes that have none of their own.
    #[must_use]
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Returns a route's threshold.
    #[must_use]
    pub fn threshold_of(&self, route: usize) -> f32 {
        self.routes[route].threshold
    }

    /// Returns the threshold that this quantile of the utterances' own scores would be; `None` if no route has two.
    #[must_use]
    pub fn auto_threshold(&self, share: f32) -> Option<f32> {
        auto_threshold(self.routes.iter().map(|route| &self.vectors[route.utterances.clone()]), share)
    }

    /// Returns the number of comparisons that [`survey`](Self::survey) makes.
    #[must_use]
    pub fn comparisons(&self) -> usize {
        self.vectors.len() * (self.vectors.len() + self.routes.len())
    }

    /// Scores a prompt, whose vector has the index's number of dimensions.
    #[must_use]
    pub fn scores(&self, prompt: &Vector) -> Scores {
        let routes: Vec<_> = self.routes.iter().map(|route| self.score(route, prompt)).collect();
        let (mut best, mut second) = (0, None);
        for route in 1..routes.len() {
            let is_above = |other: usize| routes[route].score() > routes[other].score();
            if is_above(best) {
                (best, second) = (route, Some(best));
            } else if second.is_none_or(is_above) {
                second = Some(route);
            }
        }
        Scores { best, second, threshold: self.routes[best].threshold, routes }
    }

    fn score(&self, route: &IndexedRoute, prompt: &Vector) -> RouteScore {
        let cosines = self.vectors[route.utterances.clone()].iter().map(|utterance| utterance.cosine(prompt));
        RouteScore { nearest: cosines.fold(-1.0, f32::max), centroid: route.centroid.cosine(prompt) }
    }

    /// Compares every utterance with the routes that are not its own.
    #[must_use]
    pub fn survey(&self) -> Survey {
        let (mut strays, mut pairs, mut let_through) = (Vec::new(), 0_usize, 0_usize);
        for (route, indexed) in self.routes.iter().enumerate() {
            let vectors = &self.vectors[indexed.utterances.clone()];
            let own = without_itself(vectors);
            for (utterance, vector) in vectors.iter().enumerate() {
                let others = self.routes.iter().enumerate().filter(|(other, _)| *other != route);
                let scores: Vec<_> = others.map(|(other, it)| (other, self.score(it, vector).score())).collect();
                pairs += scores.len();
                let_through += scores.iter().filter(|(other, score)| *score >= self.routes[*other].threshold).count();
                let best = scores.into_iter().max_by(|left, right| left.1.total_cmp(&right.1));
                // One that is alone in its route has no score of its own.
                let (Some((nearer, score)), Some(&own)) = (best, own.get(utterance)) else { continue };
                if score > own {
                    strays.push(Stray { route, utterance, own, nearer, score });
                }
            }
        }
        Survey { strays, let_through: share(let_through, pairs) }
    }
}

#[allow(clippy::cast_precision_loss)] // counts of utterances and routes
fn share(part: usize, of: usize) -> f32 {
    if of == 0 { 0.0 } else { part as f32 / of as f32 }
}

/// Why there is no index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexError {
    /// The vectors of the route at this position cancel each other out.
    NoCentroid(usize),
    /// Every route has a single utterance, so that no score says what fits.
    NoScores,
}

fn auto_threshold<'v>(routes: impl Iterator<Item = &'v [Vector]>, share: f32) -> Option<f32> {
    let mut scores: Vec<_> = routes.flat_map(without_itself).collect();
    quantile(&mut scores, share)
}

/// Returns the score of each utterance of a route at the route without it; nothing for a route of one.
fn without_itself(vectors: &[Vector]) -> Vec<f32> {
    if vectors.len() < 2 {
        return Vec::new();
    }
    let cosines: Vec<Vec<f32>> =
        vectors.iter().map(|left| vectors.iter().map(|right| left.cosine(right)).collect()).collect();
    let with_sum: Vec<f32> = cosines.iter().map(|row| row.iter().sum()).collect();
    let squared_length: f32 = with_sum.iter().sum();
    let score = |(utterance, row): (usize, &Vec<f32>)| {
        let others = row.iter().enumerate().filter(|(other, _)| *other != utterance);
        let nearest = others.map(|(_, cosine)| *cosine).fold(-1.0, f32::max);
        // The sum of the others has the length |S - u|, and the product S·u - u·u with this one.
        let itself = row[utterance];
        let length = (squared_length - 2.0 * with_sum[utterance] + itself).max(f32::EPSILON).sqrt();
        RouteScore { nearest, centroid: (with_sum[utterance] - itself) / length }.score()
    };
    cosines.iter().enumerate().map(score).collect()
}

/// Returns a quantile, between two numbers in proportion; `None` if there are no numbers.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a position
fn quantile(numbers: &mut [f32], share: f32) -> Option<f32> {
    numbers.sort_unstable_by(f32::total_cmp);
    let position = share.clamp(0.0, 1.0) * numbers.len().checked_sub(1)? as f32;
    let (below, above) = (numbers[position.floor() as usize], numbers[position.ceil() as usize]);
    Some(below + (above - below) * position.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(numbers: [f32; 2]) -> Vector {
        Vector::of(&numbers).expect("a direction")
    }

    fn index(threshold: Threshold) -> Index {
        let east = vec![vector([1.0, 0.0]), vector([1.0, 0.2])];
        let north = vec![vector([0.0, 1.0]), vector([0.2, 1.0])];
        Index::new(vec![(east, None), (north, Some(0.99))], threshold).expect("an index")
    }

    #[test]
    fn the_best_route_wins_if_it_reaches_its_threshold() {
        let index = index(Threshold::Fixed(0.9));
        for (prompt, best, matched) in
            [([1.0, 0.1], 0, Some(0)), ([0.1, 1.0], 1, Some(1)), ([0.5, 1.0], 1, None), ([-1.0, -0.9], 1, None)]
        {
            let scores = index.scores(&vector(prompt));
            assert_eq!((scores.best, scores.matched()), (best, matched), "{prompt:?} {scores:?}");
            assert_eq!(scores.second, Some(1 - best));
        }
    }

    #[test]
    fn a_decision_is_close_at_the_threshold_and_between_two_that_fit() {
        let index = index(Threshold::Fixed(0.5));
        for (prompt, margin, is_close) in [
            ([1.0, 0.0], 0.05, false),
            ([1.0, 0.95], 0.05, true), // both fit nearly as well
            ([1.0, 0.5], 0.05, false),
            ([1.0, -1.75], 0.05, true),  // just below the threshold
            ([-1.0, -1.0], 0.05, false), // nothing fits, however close the two are
        ] {
            let scores = index.scores(&vector(prompt));
            assert_eq!(scores.is_close(margin), is_close, "{prompt:?} {scores:?}");
        }
    }

    #[test]
    fn a_threshold_of_its_own_is_a_quantile_of_the_scores_of_utterances_left_out() {
        let vectors = vec![vector([1.0, 0.0]), vector([1.0, 1.0]), vector([0.0, 1.0])];
        let scores = without_itself(&vectors);
        let expected = |utterance: usize| {
            let others: Vec<_> = (0..3).filter(|other| *other != utterance).map(|it| vectors[it].clone()).collect();
            let nearest = others.iter().map(|other| other.cosine(&vectors[utterance])).fold(-1.0, f32::max);
            f32::midpoint(nearest, Vector::centroid(&others).expect("a centroid").cosine(&vectors[utterance]))
        };
        for (utterance, score) in scores.iter().enumerate() {
            assert!((score - expected(utterance)).abs() < 1e-3, "{score} {}", expected(utterance));
        }
        let mut numbers = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&mut numbers, 0.0), Some(1.0));
        assert_eq!(quantile(&mut numbers, 0.5), Some(2.5));
        assert_eq!(quantile(&mut numbers, 1.0), Some(4.0));
        assert_eq!(quantile(&mut [], 0.5), None);
        let single = vec![(vec![vector([1.0, 0.0])], None)];
        assert_eq!(Index::new(single, Threshold::Auto(0.1)).err(), Some(IndexError::NoScores));
    }

    #[test]
    fn an_utterance_in_the_wrong_route_is_found() {
        let east = vec![vector([1.0, 0.0]), vector([1.0, 0.1]), vector([0.0, 1.0])];
        let north = vec![vector([0.1, 1.0]), vector([-0.1, 1.0])];
        let index = Index::new(vec![(east, None), (north, None)], Threshold::Fixed(0.5)).expect("an index");
        let survey = index.survey();
        let strays: Vec<_> = survey.strays.iter().map(|it| (it.route, it.utterance, it.nearer)).collect();
        assert_eq!(strays, [(0, 2, 1)]);
        assert_eq!(
            survey.let_through,
            3.0 / 5.0,
            "the stray at north, and both of north at east, which has one of theirs"
        );
    }
}
