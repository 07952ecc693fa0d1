//! The admin page in a real browser: `make test-page`, with Chromium on the path or as `CHROMIUM`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::check::production;
use crate::rig::Rig;
use crate::rig::ask::chat;
use crate::rig::client::Client;
use crate::rig::envoy::Topology;
use crate::rig::script::Script;

const POLICY: &str = "    failover:
      entries:
        - primary: { model: gpt-4o, endpoint: east }
          fallbacks: [ { model: gpt-4o-mini, endpoint: west } ]
        - primary: { model: o1-mini, endpoint: west }
";
/// So long may the browser take; requests go on meanwhile.
const MOST: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: make test-page"]
async fn the_page_shows_a_failing_night() {
    let rig = Rig::start(Topology::Failover, &production(POLICY), &["east", "west"]).await;
    let chromium = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".into());
    let pictures =
        PathBuf::from(std::env::var("CARGO_TARGET_TMPDIR").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").into()));
    rig.send(chat("gpt-4o")).await;
    rig.provider("east").answer(Script::status(503));
    rig.send(chat("gpt-4o")).await;
    rig.send(chat("<img src=x onerror=document.title='hostile'>")).await;
    let policy = std::fs::read_to_string(rig.router.policy_file()).unwrap();
    rig.router.write_policy(&policy.replace("o1-mini, endpoint: west", "o1-mini, endpoint: wset"));
    rig.router.logged("the refusal", |line| line.contains("policy refused")).await;

    let addr = rig.envoy.addr();
    let load = tokio::spawn(async move {
        let (client, began) = (Client::new(), Instant::now());
        while began.elapsed() < MOST {
            for model in ["gpt-4o", "gpt-4o", "o1-mini"] {
                let _ = client.send(addr, chat(model)).await;
            }
        }
    });
    let url = format!("http://{}/", rig.router.admin());
    let mut dom = String::new();
    for (name, size) in [("page", "1200,1000"), ("page-phone", "390,1800")] {
        let (url, chromium, picture) = (url.clone(), chromium.clone(), pictures.join(format!("{name}.png")));
        let opened = move || opened(&chromium, &url, size, &picture);
        dom = tokio::task::spawn_blocking(opened).await.unwrap();
    }
    load.abort();
    for shown in [
        "suspended, ",
        " left",
        "gpt-4o-mini",
        "@&nbsp;east",
        "gpt-4o@east: suspended for",
        "was refused",
        "wset",
        "policy version 1",
        "live",
        "&nbsp;µs",
    ] {
        assert!(dom.contains(shown), "{shown} is not in {dom}");
    }
    assert!(!dom.contains("<img") && !dom.contains("hostile</title>"), "{dom}");
    println!("pictures in {}", pictures.display());
}

/// The page as it is after some seconds, and a picture of it.
fn opened(chromium: &str, url: &str, size: &str, picture: &std::path::Path) -> String {
    let profile = tempfile::tempdir().unwrap();
    let run = |what: String| {
        Command::new(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=60000"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args([&format!("--window-size={size}"), &what, url])
            .stderr(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{chromium}: {error}"))
    };
    run(format!("--screenshot={}", picture.display()));
    assert!(picture.exists(), "no picture of {url}");
    String::from_utf8_lossy(&run("--dump-dom".into()).stdout).into_owned()
}
