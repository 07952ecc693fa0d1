//! Documents: YAML with the place of every value, decoding that reports every mistake, and reports with excerpts.

pub(crate) mod decode;
pub(crate) mod excerpt;
pub(crate) mod mask;
pub(crate) mod problem;
pub(crate) mod words;
pub(crate) mod yaml;
