//! Trying a policy without traffic: the code that serves requests explains one, or is evaluated on many.

pub mod evaluate;
pub mod explain;
