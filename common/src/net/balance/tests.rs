//! What every policy promises, by example and by property.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

const HASH: Policy = Policy::Hash { balance_factor: 0 };
const ALL: [Policy; 5] =
    [Policy::RoundRobin, Policy::LeastConnections, Policy::TwoChoices, HASH, Policy::Hash { balance_factor: 125 }];

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("10.0.0.{index}:80")).collect()
}

fn with(options: Options, weights: &[u16]) -> Balancer {
    let labels = labels(weights.len());
    Balancer::new(options, labels.iter().map(String::as_str).zip(weights.iter().copied()), None)
}

fn balancer(policy: Policy, weights: &[u16]) -> Balancer {
    with(Options { policy, ..Options::default() }, weights)
}

fn pick(balancer: &Balancer, tried: &[usize], now: Instant) -> Option<Pick> {
    balancer.pick(&Ask { tried, ..Ask::default() }, now).server()
}

fn by_key(balancer: &Balancer, key: u64, now: Instant) -> usize {
    balancer.pick(&Ask { hash: Some(hash::key(&key.to_le_bytes())), ..Ask::default() }, now).server().unwrap().server
}

fn order(balancer: &Balancer, count: usize, now: Instant) -> Vec<usize> {
    (0..count).map(|_| pick(balancer, &[], now).unwrap().server).collect()
}

/// Three times, which is enough to eject it.
fn fail(balancer: &Balancer, server: usize, now: Instant) {
    (0..3).for_each(|_| {
        let _ = balancer.failed(server, now);
    });
}

fn shares(balancer: &Balancer, count: usize, now: Instant) -> Vec<usize> {
    let mut shares = vec![0; balancer.status(now).len()];
    order(balancer, count, now).into_iter().for_each(|server| shares[server] += 1);
    shares
}

#[test]
fn round_robin_takes_turns_and_spreads_weights() {
    let now = Instant::now();
    assert_eq!(order(&balancer(Policy::RoundRobin, &[1, 1, 1]), 6, now), [0, 1, 2, 0, 1, 2]);
    assert_eq!(order(&balancer(Policy::RoundRobin, &[5, 1, 1]), 7, now), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(order(&balancer(Policy::RoundRobin, &[0]), 2, now), [0, 0]);
    assert!(pick(&balancer(Policy::RoundRobin, &[]), &[], now).is_none());
}

#[test]
fn least_connections_counts_what_is_still_open() {
    let now = Instant::now();
    let balancer = balancer(Policy::LeastConnections, &[1, 1, 2]);
    let mut held: Vec<Pick> = (0..8).map(|_| pick(&balancer, &[], now).unwrap()).collect();
    let active = |b: &Balancer| b.status(now).iter().map(|s| s.active).collect::<Vec<_>>();
    assert_eq!(active(&balancer), [2, 2, 4]);
    held.retain(|pick| pick.server != 1);
    assert_eq!((active(&balancer), balancer.active()), (vec![2, 0, 4], 6));
    assert_eq!(pick(&balancer, &[], now).unwrap().server, 1);
    assert_eq!(active(&balancer), [2, 0, 4], "the guard gave the connection back");
    drop(held);
    let mut idle: Vec<usize> = order(&balancer, 6, now);
    idle.sort_unstable();
    idle.dedup();
    assert_eq!(idle, [0, 1, 2], "equals take turns");
}

#[test]
fn two_choices_prefer_the_less_loaded_and_need_no_luck() {
    let now = Instant::now();
    let balancer = balancer(Policy::TwoChoices, &[1; 10]);
    let held: Vec<Pick> = (0..1000).map(|_| pick(&balancer, &[], now).unwrap()).collect();
    let status = balancer.status(now);
    let most = status.iter().map(|server| server.active).max().unwrap();
    assert!(most <= 105, "pure chance would give about 120 to one of them: {status:?}");
    drop(held);
    // Of two, the idle one is always seen.
    let two = with(Options { policy: Policy::TwoChoices, seed: 7, ..Options::default() }, &[1, 1]);
    let first = pick(&two, &[], now).unwrap();
    for _ in 0..50 {
        assert_ne!(pick(&two, &[], now).unwrap().server, first.server);
    }
}

#[test]
fn the_next_server_is_another_one_until_none_is_left() {
    let now = Instant::now();
    for policy in ALL {
        let balancer = balancer(policy, &[1, 1, 1]);
        let mut tried = Vec::new();
        while let Some(pick) = pick(&balancer, &tried, now) {
            assert!(!tried.contains(&pick.server));
            tried.push(pick.server);
        }
        assert_eq!(tried.len(), 3);
    }
}

#[test]
fn failing_servers_are_left_out_longer_and_longer_and_come_back() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let balancer = balancer(Policy::RoundRobin, &[1, 1]);
    assert_eq!([balancer.failed(0, at(0)), balancer.failed(0, at(0))], [None, None]);
    assert_eq!(order(&balancer, 2, at(0)), [0, 1], "two failures are not enough");
    assert_eq!(balancer.failed(0, at(0)), Some(Duration::from_secs(10)));
    assert_eq!(balancer.status(at(4))[0].ejected_for, Some(Duration::from_secs(6)));
    assert_eq!(order(&balancer, 3, at(9)), [1, 1, 1]);
    assert!(order(&balancer, 2, at(10)).contains(&0), "back on trial");
    assert_eq!(balancer.failed(0, at(10)), Some(Duration::from_secs(20)), "one failure on trial is enough");
    assert_eq!(balancer.failed(0, at(11)), None, "late failures of old attempts do not count again");
    assert_eq!(balancer.failed(0, at(30)), Some(Duration::from_secs(40)));
    for round in 0..100 {
        let pause = balancer.failed(0, at(1_000 * (round + 1))).unwrap();
        assert!(pause <= Duration::from_secs(300));
    }
    balancer.succeeded(0, at(101_000));
    let status = &balancer.status(at(101_000))[0];
    assert_eq!((status.failures_in_a_row, status.ejected_for), (0, None));
    assert_eq!(balancer.failed(0, at(101_000)), None, "it begins again at zero");
}

#[test]
fn when_all_are_out_all_are_used() {
    let now = Instant::now();
    let balancer = balancer(Policy::LeastConnections, &[1, 1]);
    for server in [0, 0, 0, 1, 1, 1] {
        balancer.failed(server, now);
    }
    let (first, second) = (pick(&balancer, &[], now).unwrap(), pick(&balancer, &[], now).unwrap());
    assert!(first.ejected && second.ejected);
    assert_ne!(first.server, second.server);
    drop(first);
    balancer.succeeded(0, now);
    let chosen = pick(&balancer, &[], now).unwrap();
    assert_eq!((chosen.server, chosen.ejected), (0, false));
    let next = pick(&balancer, &[0], now).unwrap();
    assert_eq!((next.server, next.ejected), (1, true), "rather an ejected server than none");
}

#[test]
fn below_the_panic_threshold_all_are_used() {
    let now = Instant::now();
    let balancer = with(Options { panic_below: 50, ..Options::default() }, &[1; 4]);
    for server in [0, 1] {
        fail(&balancer, server, now);
    }
    assert_eq!(shares(&balancer, 40, now), [0, 0, 20, 20], "half are healthy: no panic");
    fail(&balancer, 2, now);
    assert_eq!(shares(&balancer, 40, now), [10; 4], "a quarter is healthy");
    assert!(balancer.drain("10.0.0.0:80", true, now) && balancer.drain("10.0.0.1:80", true, now));
    assert_eq!(shares(&balancer, 40, now), [0, 0, 0, 40], "drained servers count neither way: one of two is healthy");
}

#[test]
fn only_so_many_may_be_ejected() {
    let now = Instant::now();
    let ejection = EjectionOptions { failures: 1, max_percent: 50, ..EjectionOptions::default() };
    let balancer = with(Options { ejection, ..Options::default() }, &[1; 5]);
    let ejected: Vec<bool> = (0..5).map(|server| balancer.failed(server, now).is_some()).collect();
    assert_eq!(ejected, [true, true, false, false, false]);
    let later = now + Duration::from_secs(20);
    assert!(balancer.failed(4, later).is_some(), "when others are back there is room");
    let ejection = EjectionOptions { failures: 0, ..EjectionOptions::default() };
    let never = with(Options { ejection, ..Options::default() }, &[1]);
    assert!((0..100).all(|_| never.failed(0, now).is_none()));
    assert!(!pick(&never, &[], now).unwrap().ejected);
}

#[test]
fn checks_in_a_row_change_the_belief() {
    let now = Instant::now();
    let options = Options { checked: true, start_down: false, ..Options::default() };
    let balancer = with(options.clone(), &[1, 1]);
    let check = |passed| balancer.checked(0, passed, [2, 3], now);
    assert_eq!([check(false), check(false), check(true)], [None; 3], "not in a row");
    assert_eq!([check(false), check(false), check(false)], [None, None, Some(Change::Down)]);
    assert!(balancer.status(now)[0].down);
    assert_eq!(shares(&balancer, 10, now), [0, 10]);
    assert_eq!([check(false), check(true), check(false), check(true)], [None; 4]);
    assert_eq!(check(true), Some(Change::Up));
    assert_eq!(shares(&balancer, 10, now), [5, 5]);

    let late = with(Options { start_down: true, ..options }, &[1, 1]);
    assert!(late.status(now).iter().all(|server| server.down));
    assert!(pick(&late, &[], now).unwrap().ejected, "nobody is up yet: all are tried");
    assert_eq!(late.checked(1, true, [5, 5], now), Some(Change::Up), "at the start one good check is enough");
    assert_eq!(shares(&late, 10, now), [0, 10]);
}

#[test]
fn a_server_that_comes_back_warms_up() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let options = Options { checked: true, slow_start: Duration::from_secs(100), ..Options::default() };
    let balancer = with(options, &[1, 1]);
    assert_eq!(shares(&balancer, 20, at(0)), [10, 10], "at the start nobody has come back");
    balancer.checked(0, false, [1, 1], at(0));
    balancer.checked(0, true, [1, 1], at(10));
    let warm = |seconds| balancer.status(at(seconds))[0].warm;
    assert_eq!([warm(10), warm(11), warm(35), warm(60), warm(110), warm(500)], [10, 10, 25, 50, 100, 100]);
    assert_eq!(shares(&balancer, 110, at(10)), [10, 100]);
    assert_eq!(shares(&balancer, 150, at(60)), [50, 100]);
    fail(&balancer, 1, at(200));
    assert_eq!(balancer.status(at(230))[1].warm, 20, "ejected until 210, warming for 20 s");
    balancer.succeeded(1, at(230));
    assert_eq!(balancer.status(at(230))[1].warm, 20, "a success does not cut it short");
    assert_eq!(balancer.status(at(310))[1].warm, 100);
}

#[test]
fn draining_takes_nothing_new_and_comes_back() {
    let now = Instant::now();
    for policy in ALL {
        let balancer = balancer(policy, &[1, 1, 1]);
        let before = pick(&balancer, &[0, 2], now).unwrap();
        assert!(balancer.drain("10.0.0.1:80", true, now) && !balancer.drain("10.0.0.9:80", true, now));
        for key in 0..50 {
            assert_ne!(by_key(&balancer, key, now), 1);
        }
        let sticky = Ask { prefer: Some(1), ..Ask::default() };
        assert_ne!(balancer.pick(&sticky, now).server().unwrap().server, 1, "sticky clients move");
        assert!(pick(&balancer, &[0, 2], now).is_none(), "not even when nobody else is left");
        let status = &balancer.status(now)[1];
        assert_eq!((status.draining, status.active), (true, 1), "what is under way goes on");
        drop(before);
        balancer.drain("10.0.0.1:80", false, now);
        assert_eq!(pick(&balancer, &[0, 2], now).unwrap().server, 1);
    }
}

#[test]
fn sticky_clients_stay_while_their_server_is_healthy() {
    let now = Instant::now();
    let balancer = with(Options { max_connections_per_server: 2, ..Options::default() }, &[1, 1]);
    let ask = Ask { prefer: Some(1), ..Ask::default() };
    let server = |ask: &Ask<'_>| balancer.pick(ask, now).server().map(|pick| pick.server);
    assert_eq!([server(&ask), server(&ask), server(&ask)], [Some(1); 3]);
    let held: Vec<Pick> = (0..2).map(|_| balancer.pick(&ask, now).server().unwrap()).collect();
    assert!(matches!(balancer.pick(&ask, now), Choice::Full), "it is waited for");
    drop(held);
    assert_eq!(server(&Ask { tried: &[1], ..ask }), Some(0), "not tried twice");
    fail(&balancer, 1, now);
    assert_eq!(server(&ask), Some(0));
    assert_eq!(server(&Ask { prefer: Some(77), ..ask }), Some(0), "a number that means nothing");
}

#[test]
fn full_servers_and_full_pools_are_waited_for() {
    let now = Instant::now();
    for policy in ALL {
        let balancer =
            with(Options { policy, max_connections_per_server: 2, max_connections: 3, ..Options::default() }, &[1, 1]);
        let mut held: Vec<Pick> = (0..3).map(|_| pick(&balancer, &[], now).unwrap()).collect();
        assert!(matches!(balancer.pick(&Ask::default(), now), Choice::Full), "the pool is full");
        held.pop();
        assert!(matches!(balancer.pick(&Ask::default(), now), Choice::Server(_)));
        assert!(matches!(balancer.pick(&Ask { tried: &[0, 1], ..Ask::default() }, now), Choice::Nobody));
    }
    let balancer = with(Options { max_connections_per_server: 1, ..Options::default() }, &[1, 1]);
    fail(&balancer, 0, now);
    let _held = pick(&balancer, &[], now).unwrap();
    let full = balancer.pick(&Ask::default(), now);
    assert!(matches!(full, Choice::Full), "waits for a healthy one rather than to take an ejected one");
}

#[test]
fn what_is_known_of_servers_outlives_their_pool() {
    let now = Instant::now();
    let options = Options { checked: true, ..Options::default() };
    let old = with(options.clone(), &[1, 1, 1, 1]);
    let held = pick(&old, &[1, 2, 3], now).unwrap();
    fail(&old, 1, now);
    let checks = [(); 2].map(|()| old.checked(2, false, [1, 2], now));
    assert_eq!(checks, [None, Some(Change::Down)]);
    old.drain("10.0.0.3:80", true, now);
    // The first is gone, another has come, the order is another one.
    let members = [("10.0.0.9:80", 1), ("10.0.0.3:80", 1), ("10.0.0.2:80", 1), ("10.0.0.1:80", 5)];
    let new = Balancer::new(options.clone(), members, Some(&old));
    let status = new.status(now);
    assert!(status[1].draining && status[2].down && status[3].ejected_for.is_some());
    assert!(!status[0].draining && !status[0].down && status[0].ejected_for.is_none());
    assert_eq!(shares(&new, 8, now), [8, 0, 0, 0]);
    assert_eq!(new.active(), 1, "connections of the old one count");
    drop(held);
    assert_eq!(new.active(), 0);
    let unchecked = Balancer::new(Options { checked: false, ..options }, members, Some(&new));
    assert!(!unchecked.status(now)[2].down, "nobody would ever bring it up again");
}

#[test]
fn bounded_load_sends_hot_keys_elsewhere() {
    let now = Instant::now();
    let balancer = balancer(Policy::Hash { balance_factor: 125 }, &[1; 4]);
    let hot = Ask { hash: Some(hash::key(b"everybody")), ..Ask::default() };
    let held: Vec<Pick> = (0..100).map(|_| balancer.pick(&hot, now).server().unwrap()).collect();
    let status = balancer.status(now);
    assert!(status.iter().all(|server| server.active <= 32), "a quarter times 1.25, rounded up: {status:?}");
    drop(held);
    assert_eq!(balancer.active(), 0);
}

#[test]
fn hash_values_are_the_same_for_ever() {
    // Another value would send every client of a running site to another server.
    assert_eq!(hash::key(b""), 0xf52a_15e9_a9b5_e89b);
    assert_eq!(hash::key(b"192.0.2.1"), hash::key(b"192.0.2.1"));
    let balancer = balancer(HASH, &[1; 3]);
    let now = Instant::now();
    let found: Vec<usize> = (0..12).map(|key| by_key(&balancer, key, now)).collect();
    assert_eq!(found, KEYS_OF_THREE);
}

const KEYS_OF_THREE: [usize; 12] = [1, 1, 0, 2, 1, 1, 0, 2, 2, 0, 1, 2];

proptest! {
    #[test]
    fn shares_follow_the_weights(weights in prop::collection::vec(1u16..20, 1..8)) {
        let balancer = balancer(Policy::RoundRobin, &weights);
        let total: usize = weights.iter().map(|w| usize::from(*w)).sum();
        let shares = shares(&balancer, total * 3, Instant::now());
        for (share, weight) in shares.iter().zip(&weights) {
            prop_assert_eq!(*share, usize::from(*weight) * 3);
        }
    }

    #[test]
    fn held_connections_follow_the_weights(weights in prop::collection::vec(1u16..20, 1..8), two in any::<bool>()) {
        let balancer = balancer(if two { Policy::TwoChoices } else { Policy::LeastConnections }, &weights);
        let now = Instant::now();
        let total: usize = weights.iter().map(|w| usize::from(*w)).sum();
        let held: Vec<Pick> = (0..total * 10).map(|_| pick(&balancer, &[], now).unwrap()).collect();
        for (server, weight) in balancer.status(now).iter().zip(&weights) {
            let fair = usize::from(*weight) * 10;
            let off = server.active.abs_diff(fair);
            prop_assert!(if two { off <= 10 + fair / 2 } else { off <= 1 }, "{} instead of {fair}", server.active);
        }
        drop(held);
        prop_assert_eq!(balancer.active(), 0);
    }

    #[test]
    fn keys_follow_the_weights(weights in prop::collection::vec(1u16..10, 1..6)) {
        let balancer = balancer(HASH, &weights);
        let now = Instant::now();
        let total: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let mut shares = vec![0_u64; weights.len()];
        (0..total * 400).for_each(|key| shares[by_key(&balancer, key, now)] += 1);
        for (share, weight) in shares.iter().zip(&weights) {
            let fair = u64::from(*weight) * 400;
            prop_assert!(share.abs_diff(fair) <= fair / 4 + 60, "{share} instead of {fair}");
        }
    }

    #[test]
    fn only_keys_of_a_lost_server_move(count in 2usize..12, lost in 0usize..12, how in 0u8..3) {
        let lost = lost % count;
        let now = Instant::now();
        let all = labels(count);
        let before = balancer(HASH, &vec![1; count]);
        let found: Vec<usize> = (0..300).map(|key| by_key(&before, key, now)).collect();
        match how {
            0 => fail(&before, lost, now),
            1 => assert!(before.drain(&all[lost], true, now)),
            _ => {
                let rest = all.iter().enumerate().filter(|(index, _)| *index != lost);
                let rest: Vec<&str> = rest.map(|(_, label)| label.as_str()).rev().collect();
                let options = Options { policy: HASH, ..Options::default() };
                let fewer = Balancer::new(options, rest.iter().map(|label| (*label, 1)), None);
                for (key, was) in (0..300).zip(&found) {
                    let now_at = rest[by_key(&fewer, key, now)];
                    prop_assert!(*was == lost || now_at == all[*was], "key {key} moved without need");
                }
                return Ok(());
            }
        }
        for (key, was) in (0..300).zip(&found) {
            let now_at = by_key(&before, key, now);
            prop_assert!(if *was == lost { now_at != lost } else { now_at == *was }, "key {key} moved without need");
        }
    }

    #[test]
    fn a_heavier_server_only_attracts(weights in prop::collection::vec(1u16..10, 2..6), more in 1u16..10) {
        let now = Instant::now();
        let before = balancer(HASH, &weights);
        let mut heavier = weights.clone();
        heavier[0] += more;
        let after = balancer(HASH, &heavier);
        for key in 0..300 {
            let (was, is) = (by_key(&before, key, now), by_key(&after, key, now));
            prop_assert!(is == was || is == 0);
        }
    }

    #[test]
    fn a_pick_always_exists_while_a_server_is_untried(
        events in prop::collection::vec((0usize..5, 0u8..6, 0u64..100), 0..60),
        policy in 0usize..ALL.len(),
        tried in prop::collection::vec(0usize..5, 0..5),
        panic_below in 0u32..100,
    ) {
        let options = Options {
            policy: ALL[policy],
            panic_below,
            checked: true,
            slow_start: Duration::from_secs(30),
            ..Options::default()
        };
        let balancer = with(options, &[1, 2, 3, 1, 1]);
        let labels = labels(5);
        let mut drained = [false; 5];
        let mut now = Instant::now();
        for (server, event, seconds) in events {
            now += Duration::from_secs(seconds);
            match event {
                0 => balancer.succeeded(server, now),
                1 => {
                    let _ = balancer.failed(server, now);
                }
                2 | 3 => {
                    let _ = balancer.checked(server, event == 2, [2, 2], now);
                }
                _ => {
                    drained[server] = event == 4;
                    balancer.drain(&labels[server], event == 4, now);
                }
            }
            let key = hash::key(&seconds.to_le_bytes());
            let pick = balancer.pick(&Ask { tried: &tried, hash: Some(key), prefer: Some(server) }, now).server();
            let possible = (0..5).any(|s| !tried.contains(&s) && !drained[s]);
            prop_assert_eq!(pick.is_some(), possible);
            if let Some(pick) = pick {
                prop_assert!(!tried.contains(&pick.server) && !drained[pick.server]);
            }
        }
        prop_assert!(balancer.status(now).iter().all(|s| s.active == 0));
    }
}
