//! Lives and deaths of a process, played in one: what a life leaves in the journal is what `forget` does not take back.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use common::journal::{SLOTS, create};

fn request(path: &str) -> Request<()> {
    Request::builder().uri(path).header("host", "x.test").body(()).unwrap()
}

fn enter(journal: &Rc<Journal>, path: &str) -> Option<Noted> {
    match journal.enter(&request(path), 2) {
        Admission::Noted(noted) => Some(noted),
        Admission::Refused(_) => None,
        Admission::Full => panic!("there is room"),
    }
}

/// A life that ends in the middle of these.
fn die_of(file: impl AsFd, paths: &[&str]) {
    let (journal, _) = Journal::open(file, 1, Some(2)).unwrap();
    for path in paths {
        std::mem::forget(enter(&journal, path).unwrap());
    }
}

#[test]
fn a_request_in_flight_at_two_deaths_is_refused() {
    let file = create(2).unwrap();
    die_of(&file, &["/kill", "/"]);
    die_of(&file, &["/kill", "/other"]);
    let (journal, charged) = Journal::open(&file, 1, Some(2)).unwrap();
    assert_eq!(charged, 2);
    assert!(enter(&journal, "/kill").is_none() && enter(&journal, "/kill").is_none());
    assert!(enter(&journal, "/").is_some() && enter(&journal, "/kill2").is_some());
    // Another instance knows it, too.
    let (other, charged) = Journal::open(&file, 2, Some(2)).unwrap();
    assert_eq!(charged, 0);
    assert!(enter(&other, "/kill").is_none() && enter(&other, "/").is_some());
    journal.pardon();
    assert!(enter(&other, "/kill").is_some(), "a reload pardons");
}

#[test]
fn an_answer_between_two_deaths_proves_innocence() {
    let file = create(1).unwrap();
    die_of(&file, &["/kill", "/"]);
    let (journal, _) = Journal::open(&file, 1, Some(2)).unwrap();
    enter(&journal, "/").unwrap().answered();
    drop(enter(&journal, "/kill").unwrap()); // its client has left: that proves nothing
    drop(journal);
    die_of(&file, &["/kill", "/"]);
    let (journal, _) = Journal::open(&file, 1, Some(2)).unwrap();
    assert!(enter(&journal, "/").is_some() && enter(&journal, "/kill").is_none());
}

#[test]
fn who_is_at_work_is_charged_alone() {
    let file = create(1).unwrap();
    for _ in 0..2 {
        let (journal, _) = Journal::open(&file, 1, Some(2)).unwrap();
        std::mem::forget(enter(&journal, "/").unwrap());
        let killer = enter(&journal, "/kill").unwrap();
        std::mem::forget(killer.at_work());
        std::mem::forget(killer);
    }
    let (journal, charged) = Journal::open(&file, 1, Some(2)).unwrap();
    assert_eq!(charged, 1);
    assert!(enter(&journal, "/").is_some() && enter(&journal, "/kill").is_none());
}

#[test]
fn a_process_that_was_told_to_finish_charges_nobody() {
    let file = create(1).unwrap();
    for _ in 0..3 {
        let (journal, charged) = Journal::open(&file, 1, Some(2)).unwrap();
        assert_eq!(charged, 0);
        std::mem::forget(enter(&journal, "/slow").unwrap());
        journal.goodbye();
    }
    die_of(&file, &["/slow"]);
    let (_, charged) = Journal::open(&file, 1, None).unwrap();
    assert_eq!(charged, 0, "the guard is off");
}

#[test]
fn no_more_is_noted_than_there_is_room_for() {
    let file = create(1).unwrap();
    let (journal, _) = Journal::open(&file, 1, Some(2)).unwrap();
    let all: Vec<Noted> = (0..SLOTS).map(|_| enter(&journal, "/").unwrap()).collect();
    assert!(matches!(journal.enter(&request("/"), 2), Admission::Full));
    drop(all);
    assert!(enter(&journal, "/").is_some());
}

#[test]
fn another_release_begins_anew_and_another_layout_is_left_alone() {
    let file = create(1).unwrap();
    die_of(&file, &["/kill"]);
    die_of(&file, &["/kill"]);
    let words = SharedWords::map(&file).unwrap().words();
    Shared::of(words).unwrap().release.store(1, Relaxed);
    let (journal, _) = Journal::open(&file, 1, Some(2)).unwrap();
    assert!(enter(&journal, "/kill").is_some());
    Shared::of(words).unwrap().layout.store(1, Relaxed);
    assert!(Journal::open(&file, 1, Some(2)).unwrap_err().to_string().contains("another release"));
}

#[test]
fn who_works_on_a_thread_is_charged_although_its_client_has_left() {
    let file = create(1).unwrap();
    let (journal, _) = Journal::open(&file, 1, Some(2)).unwrap();
    std::mem::forget(enter(&journal, "/bystander").unwrap());
    let noted = enter(&journal, "/kill").unwrap();
    let mark = noted.mark();
    drop((mark.at_work(1), noted));
    std::mem::forget(mark.at_work(0));
    assert!(mark.at_work(usize::MAX).is_none());
    drop(journal);
    let (journal, charged) = Journal::open(&file, 1, Some(1)).unwrap();
    assert_eq!(charged, 1);
    assert!(journal.enter(&request("/kill"), 1).is_refused() && !journal.enter(&request("/bystander"), 1).is_refused());
}

impl Admission {
    fn is_refused(&self) -> bool {
        matches!(self, Admission::Refused(_))
    }
}
