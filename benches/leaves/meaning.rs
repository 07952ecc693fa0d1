//! What semantic routing works on: a model, a prompt, an index.

use std::path::Path;

use model_router::classifier::{FILES, Index, StaticModel, Threshold, Vector};

/// Where `make model` installs a static model.
pub(crate) const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/models/wordllama");

/// The static model, if it is installed.
pub(crate) fn model() -> Option<StaticModel> {
    let [tokenizer, model, config] = FILES.map(|file| std::fs::read(Path::new(MODEL).join(file)).ok());
    let files = [tokenizer?, model?, config?];
    let space = StaticModel::space_of(&files);
    Some(StaticModel::load(Path::new(MODEL), &files, space).expect("a model"))
}

/// A prompt of some 200 tokens.
pub(crate) fn prompt() -> String {
    let words = "please explain why my function that sorts a list of customer invoices by date returns them in the wrong \
                 order when two invoices share the same timestamp and how i could fix it without slowing it down ";
    words.repeat(5)
}

/// A direction that looks random, the same for the same seed.
pub(crate) fn vector(dimensions: usize, seed: u64) -> Vector {
    let mut state = seed.wrapping_add(1);
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let numbers: Vec<_> = (0..dimensions).map(|_| number()).collect();
    Vector::of(&numbers).expect("a direction")
}

/// The index of so many routes with so many utterances each.
pub(crate) fn index(routes: usize, utterances: usize, dimensions: usize) -> Index {
    let route = |route: usize| {
        let seed = |utterance: usize| (route * utterances + utterance) as u64;
        ((0..utterances).map(|utterance| vector(dimensions, seed(utterance))).collect(), None)
    };
    Index::new((0..routes).map(route).collect(), Threshold::Fixed(0.5)).expect("an index")
}

/// The memory of this process.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
