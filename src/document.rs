//! Documents: YAML with the place of every value, decoding that reports every mistake, reports with excerpts, and the
//! layout of a text that is added to.

pub(crate) mod decode;
pub(crate) mod excerpt;
pub(crate) mod layout;
pub(crate) mod mask;
pub(crate) mod problem;
pub(crate) mod words;
pub(crate) mod yaml;
