//! All integration tests in one binary.

mod policy_files;
