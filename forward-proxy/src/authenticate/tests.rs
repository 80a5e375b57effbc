//! Checks as connections see them: remembered, shared, bounded, throttled.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;

use super::*;

fn header(user: &str, password: &str) -> Vec<u8> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {encoded}").into_bytes()
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await.unwrap() });
}

fn authenticator(cost: u32) -> (Rc<Authenticator>, Metrics) {
    let users = Users::parse(&format!("ada:{}\n", bcrypt::hash("open", cost).unwrap())).unwrap();
    let metrics = Metrics::default();
    (Authenticator::new(Some(users), metrics.clone()).unwrap(), metrics)
}

fn client(number: u32) -> ClientKey {
    IpAddr::from(number.to_be_bytes()).into()
}

#[test]
fn a_right_password_is_checked_once_also_when_asked_many_times_at_once() {
    run(async {
        let (authenticator, metrics) = authenticator(6);
        let right = header("ada", "open");
        let ask = || authenticator.authenticate(client(1), Given::One(&right));
        let (a, b, c) = tokio::join!(ask(), ask(), ask());
        for answer in [a, b, c, ask().await] {
            assert_eq!(answer.as_deref(), Ok("ada"));
        }
        assert_eq!(metrics.password_checks.get(), 1);
        assert!(authenticator.flights.borrow().is_empty());
    });
}

#[test]
fn guessing_is_slowed_down_per_client_and_does_not_lock_out_the_user() {
    run(async {
        let (authenticator, metrics) = authenticator(4);
        let right = header("ada", "open");
        assert!(authenticator.authenticate(client(1), Given::One(&right)).await.is_ok());
        for guess in 0..throttle::AT_ONCE {
            let wrong = header("ada", &guess.to_string());
            let answer = authenticator.authenticate(client(1), Given::One(&wrong)).await;
            assert_eq!(answer, Err(NotAuthenticated::Wrong));
        }
        let wrong = header("ada", "once more");
        let answer = authenticator.authenticate(client(1), Given::One(&wrong)).await;
        assert!(matches!(answer, Err(NotAuthenticated::Throttled(1..=7))), "{answer:?}");
        assert_eq!(metrics.wrong_passwords.get(), u64::from(throttle::AT_ONCE));
        assert!(authenticator.authenticate(client(1), Given::One(&right)).await.is_ok(), "remembered");
        assert!(authenticator.authenticate(client(2), Given::One(&wrong)).await == Err(NotAuthenticated::Wrong));
    });
}

#[test]
fn a_flood_of_checks_is_bounded() {
    run(async {
        let (authenticator, _) = authenticator(9);
        let flood = u32::try_from(MAX_WAITING + CHECKS_AT_ONCE).unwrap();
        for number in 0..flood {
            let wrong = header("ada", &number.to_string());
            let authenticator = Rc::clone(&authenticator);
            tokio::task::spawn_local(
                async move { authenticator.authenticate(client(number), Given::One(&wrong)).await },
            );
        }
        for _ in 0..4 {
            tokio::task::yield_now().await; // until all of them have begun
        }
        let right = header("ada", "open");
        let answer = authenticator.authenticate(client(flood), Given::One(&right)).await;
        assert_eq!(answer, Err(NotAuthenticated::Busy));
    });
}

#[test]
fn without_users_nobody_is_anybody() {
    run(async {
        let authenticator = Authenticator::new(None, Metrics::default()).unwrap();
        let answer = authenticator.authenticate(client(1), Given::One(&header("ada", "open"))).await;
        assert_eq!(answer, Err(NotAuthenticated::Missing));
    });
}

#[test]
fn a_client_that_goes_away_leaves_nobody_waiting() {
    run(async {
        let (authenticator, metrics) = authenticator(8);
        let right = header("ada", "open");
        let impatient = authenticator.authenticate(client(1), Given::One(&right));
        assert!(tokio::time::timeout(Duration::from_millis(1), impatient).await.is_err());
        assert!(authenticator.authenticate(client(2), Given::One(&right)).await.is_ok());
        assert_eq!(metrics.password_checks.get(), 1);
    });
}
