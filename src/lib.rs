//! model-router.
