//! One name everywhere: folder = package = binary = configuration section = `Process` variant.

use common::process::Process;
use common::wiring::EDGES;

use crate::tree::{packages, read, root};

#[test]
fn every_process_is_a_binary_and_a_package_of_its_name() {
    let packages = packages();
    let binaries: Vec<&String> = packages.values().flat_map(|package| &package.binaries).collect();
    for process in Process::ALL {
        let name = process.name();
        assert!(binaries.iter().any(|binary| *binary == name), "there is no binary {name}");
        // The way out lives beside the way in: one package, two binaries.
        let package = if process == Process::PassthroughRelay { "sni-router" } else { name };
        let package = &packages[package];
        assert_eq!(package.folder.display().to_string(), package.name, "a package lives in a folder of its name");
    }
}

#[test]
fn every_process_has_a_section_in_the_manual() {
    let manual = read("docs/configuration.md");
    for process in Process::ALL {
        assert!(manual.contains(&format!("[{process}]")), "docs/configuration.md has no section [{process}]");
    }
}

#[test]
fn every_process_keeps_its_policy_and_its_figures_where_one_looks_for_them() {
    for process in Process::ALL {
        let folder = match process {
            Process::SniRouter => "sni-router/src/router",
            Process::PassthroughRelay => "sni-router/src/relay",
            Process::TlsTerminator => "tls-terminator/src",
            Process::HttpFilter => "http-filter/src",
            Process::ForwardProxy => "forward-proxy/src",
        };
        for file in ["sandbox.rs", "metrics.rs"] {
            assert!(root().join(folder).join(file).is_file(), "{folder}/{file} is missing");
        }
    }
}

#[test]
fn every_edge_has_a_message_of_its_name() {
    let folder = root().join("common/src/ipc/messages");
    for edge in EDGES {
        let short = |process: Process| match process {
            Process::SniRouter => "router",
            Process::PassthroughRelay => "relay",
            Process::TlsTerminator => "terminator",
            Process::HttpFilter => "filter",
            Process::ForwardProxy => "forward",
        };
        let receiver = if edge.is_succession() { "successor" } else { short(edge.receiver) };
        let file = format!("{}_to_{receiver}.rs", short(edge.sender));
        assert!(folder.join(&file).is_file(), "{}: common/src/ipc/messages/{file} is missing", edge.name);
    }
}
