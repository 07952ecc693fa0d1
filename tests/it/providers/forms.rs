//! Multipart forms: the model's part changes and nothing else.

use super::{AZURE, BASE, Case, NAMES};
use crate::check::check_error;
use crate::rig::Rig;
use crate::rig::ask::{Ask, post};
use crate::rig::envoy::Topology;
use crate::rig::ext_proc::BodyMode;
use crate::rig::router::Settings;
use crate::rig::script::Script;

/// A form as clients write it, with a file that is not text.
fn form(model: Option<&str>) -> Vec<u8> {
    let part = |headers: &str, value: &[u8]| [b"--XyZ\r\n", headers.as_bytes(), b"\r\n\r\n", value, b"\r\n"].concat();
    let name = |model: &str| part("Content-Disposition: form-data; name=\"model\"", model.as_bytes());
    let file = part(
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg",
        b"\xff\xfb\r\n\0\r\n--Xy\r\nmodel",
    );
    [model.map(name).unwrap_or_default(), file, b"--XyZ--\r\n".to_vec()].concat()
}

fn ask(path: &str, body: Vec<u8>) -> Ask {
    post(path).header("content-type", "multipart/form-data; boundary=XyZ").body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_models_part_of_a_form_changes_at_each_attempt() {
    for mode in [BodyMode::Buffered, BodyMode::FullDuplex] {
        for path in ["/audio/transcriptions", "/audio/translations", "/images/edits"] {
            let (settings, edit) = (Settings::default(), |text| mode.edit(text));
            let rig = Rig::start_edited(Topology::Failover, &BASE.policy(""), &NAMES, settings, edit).await;
            rig.provider("east").answer(Script::status(503));
            for model in [Some("whisper-1"), None] {
                let answer = rig.send(ask(&format!("/base{path}"), form(model))).await;
                assert_eq!((answer.status, answer.provider()), (200, "west"), "{mode:?} {path}");
                let sent = rig.provider("west").last();
                assert_eq!(sent.body, form(Some("two")), "{mode:?} {path}");
                assert_eq!(sent.header("content-type"), "multipart/form-data; boundary=XyZ");
            }
            assert_eq!(rig.provider("east").last().body, form(Some("one")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_whose_model_is_in_the_path_stays_as_it_is() {
    let case = Case { asks: "/deployments/any/audio/transcriptions", ..AZURE };
    let rig = Rig::start(Topology::Failover, &case.policy(""), &NAMES).await;
    assert_eq!(rig.send(ask(&format!("/base{}", case.asks), form(None))).await.status, 200);
    assert_eq!(rig.provider("east").last().body, form(None));
    assert_eq!(rig.provider("east").last().path, "/openai/deployments/gpt-4o/audio/transcriptions");
    rig.check_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_used_is_refused() {
    let rig = Rig::start(Topology::Failover, &BASE.policy(""), &NAMES).await;
    let path = "/base/audio/transcriptions";
    let twice = [form(Some("a")), form(Some("b"))].map(|form| form[..form.len() - 9].to_vec()).concat();
    let twice = [twice, b"--XyZ--\r\n".to_vec()].concat();
    for (ask, status, code) in [
        (ask(path, twice), 400, "invalid_body"),
        (ask(path, b"--XyZ\r\ncut off".to_vec()), 400, "invalid_body"),
        (post(path).header("content-type", "multipart/form-data").body(form(None)), 400, "invalid_body"),
        (ask("/base/chat/completions", form(None)), 415, "content_type"),
        (ask(path, form(None)).header("content-encoding", "compress"), 415, "content_encoding"),
    ] {
        check_error(&rig.send(ask).await, status, code);
    }
    assert_eq!(rig.hits(), [0, 0], "nothing was forwarded");
    rig.check_clean().await;
}
