//! What one can try while everything stays up.

use crate::rig::provider::Provider;
use crate::show::{heading, say};
use crate::stage::{Example, Stage, router_binary};

/// Prints commands to copy. Each is complete and fits on a line or two.
pub(crate) fn explain(stage: &Stage) {
    stage.providers.iter().for_each(|provider| provider.count_only(true)); // bodies would pile up
    heading("Running, until Ctrl-C");
    if let Some(example) = &stage.example {
        requests(stage, example);
    }
    if let [provider, ..] = &*stage.providers {
        orders(provider);
    }
    command(
        "What the router knows of its targets",
        &format!("{} status --admin {}", router_binary(), stage.router.admin()),
    );
    command("The tokens that responses used", &format!("{} usage --admin {}", router_binary(), stage.router.admin()));
    let file = stage.policy_file.display();
    command("The policy; the router follows it as you edit it", &format!("${{EDITOR:-vi}} {file}"));
    command("Envoy's statistics", &format!("curl -s http://{}/stats", stage.envoy.admin()));
}

fn requests(stage: &Stage, example: &Example) {
    let url = format!("http://{}{}", stage.addr(), example.base_path);
    let body = format!(r#"{{"model":"{}","messages":[{{"role":"user","content":"Hello"}}]}}"#, example.model);
    let chat = |host: &str| {
        let headers = format!("-H 'content-type: application/json'{host}");
        format!("curl -sw '\\n' {url}/chat/completions \\\n    {headers} \\\n    -d '{body}'")
    };
    let host = header(example.host.as_deref());
    command("A chat request; repeat it and watch `model` in the answers", &chat(&host));
    if let Some(sandbox) = &example.sandbox_host {
        command("The same in the sandbox", &chat(&header(Some(sandbox))));
    }
    command("The models that a client may see", &format!("curl -sw '\\n' {url}/models{host}"));
}

fn header(host: Option<&str>) -> String {
    host.map(|host| format!(" -H 'host: {host}'")).unwrap_or_default()
}

fn orders(provider: &Provider) {
    let order = |body: &str| format!("curl -s http://{}/_script -d '{body}'", provider.addr());
    let name = provider.name();
    command(&format!("gpt-4o at {name} fails"), &order(r#"{"model":"gpt-4o","status":503}"#));
    command(&format!("all of {name} runs out of quota"), &order(r#"{"status":429}"#));
    command(&format!("{name} is well again"), &order(r#"{"status":200}"#));
}

fn command(what: &str, command: &str) {
    say(&format!("\n# {what}\n{command}"));
}
