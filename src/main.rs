//! The `model-router` command.
fn main() {}
