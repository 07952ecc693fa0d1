//! A scripted provider as a program, for containers: `provider NAME ADDRESS:PORT`. It does what it is told with
//! `POST /_script`. `provider health ADDRESS:PORT` exits with 0 if one listens there.

#![allow(dead_code)] // Of the rig's modules, which tests use, this is a part.

use std::env;
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

#[path = "../../rig/provider.rs"]
mod provider;
#[path = "../../rig/remote.rs"]
mod remote;
#[path = "../../rig/script.rs"]
mod script;
#[path = "../../rig/serve.rs"]
mod serve;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, address] = &arguments[..] else { return fail("expected: provider NAME|health ADDRESS:PORT") };
    let Ok(address) = address.parse() else { return fail("expected ADDRESS:PORT") };
    match name.as_str() {
        "health" => match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("nobody listens at {address}: {error}")),
        },
        name => serve(name, address),
    }
}

#[tokio::main]
async fn serve(name: &str, address: SocketAddr) -> ExitCode {
    // A container's first process has to handle the signal itself, or it is not stopped by it.
    let Ok(mut stop) = signal(SignalKind::terminate()) else { return fail("can't handle signals") };
    let provider = provider::Provider::at(name, address).await;
    provider.count_only(true); // bodies would pile up
    stop.recv().await;
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    eprintln!("provider: {why}");
    ExitCode::FAILURE
}
