//! The tools agree: format and lints, with the settings of the workspace.

use std::process::{Command, Output};

use crate::tree::root;

fn cargo(arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo can be started")
}

/// Whether a component of the toolchain is installed; its absence is the only excuse.
fn has(test: &str, component: &str) -> bool {
    cargo(&[component, "--version"]).status.success()
        || harness::needs::skip(test, &format!("needs cargo {component} (rustup component add)"))
}

#[test]
fn everything_is_formatted() {
    if has("everything_is_formatted", "fmt") {
        let output = cargo(&["fmt", "--all", "--check"]);
        assert!(output.status.success(), "run cargo fmt:\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn clippy_has_nothing_to_say() {
    if has("clippy_has_nothing_to_say", "clippy") {
        let output = cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
