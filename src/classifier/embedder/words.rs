//! The tokens of a text, word by word, with the words that were seen before remembered.
//!
//! A tokenizer spends nearly all of a prompt's time on finding the tokens of words that it has seen a thousand times.

use std::collections::HashMap;
use std::sync::RwLock;

use tokenizers::Tokenizer;

/// The most words that are remembered; then all are forgotten.
const MAX_WORDS: usize = 50_000;
/// A longer word is not remembered.
const MAX_WORD_BYTES: usize = 64;

/// A text on which a tokenizer shows whether it takes words one by one.
const SAMPLE: &str = "Why doesn't (my) loop ever end? It's 3.14 times as slow, naïve or not: see Größe, snake_case and \
                      https://example.com/a?b=c — über-long 漢字 words.";

/// A tokenizer and its memory.
pub(super) struct Words {
    tokenizer: Tokenizer,
    /// Whether the tokens of a text are those of its words, so that they can be remembered by word.
    by_word: bool,
    known: RwLock<HashMap<Box<str>, Box<[u32]>>>,
}

impl Words {
    /// Creates an empty memory.
    ///
    /// # Errors
    /// The tokenizer fails on an ordinary text.
    pub(super) fn new(tokenizer: Tokenizer) -> Result<Self, String> {
        let mut words = Self { tokenizer, by_word: true, known: RwLock::default() };
        let whole = words.encode(SAMPLE)?;
        let mut joined = Vec::new();
        words.tokens(SAMPLE, |id| joined.push(id))?;
        words.by_word = whole == joined;
        Ok(words)
    }

    /// Hands over the tokens of a text in order.
    pub(super) fn tokens(&self, text: &str, mut token: impl FnMut(u32)) -> Result<(), String> {
        if !self.by_word {
            self.encode(text)?.into_iter().for_each(token);
            return Ok(());
        }
        let mut unknown: HashMap<&str, Box<[u32]>> = HashMap::new();
        let known = self.known.read().expect("no panic while the words are held");
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let seen = known.get(word).or_else(|| unknown.get(word));
            if let Some(ids) = seen {
                ids.iter().copied().for_each(&mut token);
                continue;
            }
            let ids = self.encode(word)?;
            ids.iter().copied().for_each(&mut token);
            if word.len() <= MAX_WORD_BYTES {
                unknown.insert(word, ids.into());
            }
        }
        drop(known);
        self.remember(unknown);
        Ok(())
    }

    fn remember(&self, words: HashMap<&str, Box<[u32]>>) {
        if words.is_empty() {
            return;
        }
        let mut known = self.known.write().expect("no panic while the words are held");
        if known.len() + words.len() > MAX_WORDS {
            known.clear();
        }
        known.extend(words.into_iter().map(|(word, ids)| (word.into(), ids)));
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| format!("no tokens: {error}"))?;
        Ok(encoding.get_ids().to_vec())
    }
}
