//! Compiles the admin API in `proto/`, with a compiler written in Rust so that no `protoc` has to be installed.

use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["model_router/admin/v1/admin.proto"], ["proto"])?;
    // Reflection serves this.
    let descriptor = PathBuf::from(std::env::var("OUT_DIR")?).join("admin.bin");
    std::fs::write(descriptor, files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}
