//! The launcher on small shell scripts that behave like a good, a dying, and a stubborn `bulkhead up`.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::folder::Folder;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

/// Runs `script` as `bulkhead`.
async fn start(folder: &Folder, script: &str) -> Bulkhead {
    let program = folder.join("bulkhead");
    folder.write("bulkhead", &format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..100 {
        let output = Output::to(&folder.join("log")).unwrap();
        match Bulkhead::start(&program, Path::new("/nonexistent.toml"), output) {
            // A test beside this one forked while the script was being written.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            started => return started.unwrap(),
        }
    }
    unreachable!("the script stays busy");
}

#[tokio::test]
async fn ready_then_stopped_in_order() {
    let folder = Folder::create(None, false).unwrap();
    let mut signals = Signals::catch().unwrap();
    let script =
        "trap 'kill $!; wait; echo bye; exit 0' TERM; echo \"got $1 $2\"; sleep 60 & echo ready to serve; wait";
    let mut bulkhead = start(&folder, script).await;
    assert!(matches!(bulkhead.wait_ready(&mut signals).await.unwrap(), Start::Ready));
    let children = living::children_of(bulkhead.pid());
    assert_eq!(children.len(), 1);
    let output = bulkhead.output().clone();
    let stop = bulkhead.stop(&mut signals).await;
    assert!(stop.clean, "{}", stop.words);
    assert!(!children.iter().any(living::lives));
    assert_eq!(output.last(), ["got up /nonexistent.toml", "ready to serve", "bye"]);
    assert_eq!(std::fs::read_to_string(folder.join("log")).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_death_before_ready_is_told_with_its_last_words() {
    let folder = Folder::create(None, false).unwrap();
    let mut signals = Signals::catch().unwrap();
    let mut bulkhead = start(&folder, "echo starting; echo 'Address already in use' >&2; exit 3").await;
    match bulkhead.wait_ready(&mut signals).await.unwrap() {
        Start::Died(status) => assert_eq!(status.code(), Some(3)),
        other => unreachable!("{other:?}"),
    }
    assert!(bulkhead.output().last().contains(&"Address already in use".to_owned()));
    assert!(!bulkhead.stop(&mut signals).await.clean);
}

#[tokio::test]
async fn whoever_is_left_behind_is_named_and_killed() {
    let folder = Folder::create(None, false).unwrap();
    let mut signals = Signals::catch().unwrap();
    let mut bulkhead = start(&folder, "trap 'exit 0' TERM; sleep 61 & echo ready; while :; do sleep 0.05; done").await;
    assert!(matches!(bulkhead.wait_ready(&mut signals).await.unwrap(), Start::Ready));
    // Until exec the child bears the script's name.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stop = bulkhead.stop(&mut signals).await;
    assert!(!stop.clean && stop.words.contains("left running"), "{}", stop.words);
}

#[tokio::test]
async fn a_missing_program_is_named() {
    let folder = Folder::create(None, false).unwrap();
    let output = Output::to(&folder.join("log")).unwrap();
    let error = Bulkhead::start(Path::new("/nonexistent/bulkhead"), Path::new("x"), output).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/bulkhead"));
}
