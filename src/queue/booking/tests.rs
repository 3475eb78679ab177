//! What each event makes of a booking; and, in [`model`], of long random orders of them.

mod model;

use super::*;

const GAP: Duration = Duration::from_mins(1);

fn at(seconds: u64) -> Timestamp {
    after("2026-11-23T04:05:00Z".parse().unwrap(), Duration::from_secs(seconds))
}

fn moment(seconds: u64) -> Moment {
    Moment { now: at(seconds), gap: GAP }
}

fn due(seconds: u64) -> Booking {
    Booking { due: Some(at(seconds)), ..Booking::default() }
}

/// The booking that a step leaves, and whether a message is sent for it.
fn left(step: Step) -> (Booking, bool) {
    match step {
        Step::Keep => panic!("nothing changed"),
        Step::Save(booking) => (booking, false),
        Step::Send(booking, at) => {
            assert!(booking.due == Some(at) && booking.unsent);
            (left(Booking::sent(Some(booking), at)).0, true)
        }
    }
}

fn started(booking: Booking, message: u64, now: u64) -> Booking {
    let (step, start) = Booking::starts(Some(booking), at(message), moment(now));
    assert_eq!(start, Start::Now);
    left(step).0
}

fn arrival(booking: &Booking, message: u64, now: u64) -> Arrival {
    Booking::arrives(Some(booking.clone()), Some(at(message)), moment(now)).1
}

#[test]
fn a_message_counts_only_for_the_booked_or_the_running_time() {
    let booking = due(100);
    assert_eq!(arrival(&booking, 100, 90), Arrival::Counts(at(100)), "early by another machine's clock");
    assert_eq!(arrival(&booking, 50, 90), Arrival::Stray);
    let running = started(booking, 100, 100);
    assert_eq!((running.due, running.running), (None, Some(at(100))));
    assert_eq!(arrival(&running, 100, 190), Arrival::Counts(at(100)), "a killed cycle's comes back");
    assert_eq!(arrival(&running, 50, 190), Arrival::Stray);
    let (ended, sent) = left(Booking::cycle_ended(Some(running), at(100)));
    assert!(!sent);
    assert_eq!(arrival(&ended, 100, 190), Arrival::Stray, "a second copy starts no second cycle");
}

#[test]
fn any_message_serves_a_booking_whose_time_has_come() {
    // The trigger was killed between saving the booking and sending its message.
    let booking = due(100);
    assert_eq!(arrival(&booking, 50, 99), Arrival::Stray);
    assert_eq!(arrival(&booking, 50, 100), Arrival::Counts(at(50)));
    let running = started(booking, 50, 100);
    assert_eq!((running.due, running.running), (None, Some(at(50))), "this one comes back after a kill");
    assert_eq!(arrival(&running, 100, 100), Arrival::Stray, "and the booked one is late");
}

#[test]
fn a_message_that_a_kill_kept_from_being_sent_is_sent_by_the_next_trigger() {
    let (step, _) = Booking::default().wanted(at(0), moment(0));
    let Step::Send(killed, _) = step else { panic!("{step:?}") };
    let (step, booked) = killed.wanted(at(30), moment(30));
    assert_eq!(booked, Booked::Sent(at(0)), "the event is delivered again, and finds its own booking");
    let (booking, _) = left(step);
    assert_eq!(booking.wanted(at(31), moment(31)).1, Booked::Pending(at(0)));
}

#[test]
fn a_booking_two_minutes_past_or_more_than_a_day_ahead_is_not_pending() {
    let wanted = |booking: Booking, now| booking.wanted(at(now), moment(now)).1;
    assert_eq!(wanted(due(0), 119), Booked::Pending(at(0)));
    assert_eq!(wanted(due(0), 120), Booked::Sent(at(120)));
    let day = 24 * 3600;
    assert_eq!(due(day).wanted(at(day), moment(0)).1, Booked::Pending(at(day)));
    assert_eq!(due(day + 1).wanted(at(2 * day), moment(0)).1, Booked::Sent(at(day)), "and none is made");
}

#[test]
fn a_message_without_a_time_and_one_without_a_booking_count_as_a_trigger() {
    for (stored, message) in [(Some(Booking::default()), None), (None, Some(at(3)))] {
        let (step, arrival) = Booking::arrives(stored, message, moment(5));
        assert_eq!((left(step), arrival), ((due(5), true), Arrival::Booked(at(5))));
    }
    let (step, arrival) = Booking::arrives(Some(due(9)), None, moment(10));
    assert_eq!(
        (step, arrival),
        (Step::Keep, Arrival::Counts(at(9))),
        "it was booked by an older program, too"
    );
    let gap = Booking { last_start: Some(at(0)), ..due(60) };
    let (step, arrival) = Booking::arrives(Some(gap), None, moment(10));
    assert_eq!((step, arrival), (Step::Keep, Arrival::Booked(at(60))), "one is pending");
}

#[test]
fn within_the_gap_a_message_only_books_its_end() {
    let booking = Booking { last_start: Some(at(0)), ..due(30) };
    let (step, start) = Booking::starts(Some(booking), at(30), moment(30));
    assert_eq!(start, Start::Later(at(60)));
    let (booking, sent) = left(step);
    assert!(sent && booking.due == Some(at(60)));
    // A message of the killed cycle's too: it is used up, and the pending wake-up stands for it.
    let killed = Booking { running: Some(at(0)), ..booking };
    let (step, start) = Booking::starts(Some(killed), at(0), moment(45));
    assert_eq!(start, Start::Later(at(60)));
    assert!(matches!(step, Step::Save(Booking { running: None, .. })));
}

#[test]
fn a_start_in_the_future_puts_off_the_next_cycle_by_one_gap_and_no_more() {
    let mut days_ahead = Booking { last_start: Some(at(300_000)), ..due(10) };
    Correction::of(&mut days_ahead, at(10));
    let (step, start) = Booking::starts(Some(days_ahead), at(10), moment(10));
    assert_eq!(start, Start::Later(at(70)));
    started(left(step).0, 70, 70);
}

#[test]
fn a_wait_of_many_cycles_has_one_message() {
    let (mut booking, sent) = left(Booking::default().wanted(at(3600), moment(0)).0);
    assert!(sent);
    for tick in (600..3600).step_by(600) {
        let (ticked, sent) = left(booking.wanted(at(tick), moment(tick)).0);
        assert!(sent && ticked.later == Some(at(3600)));
        let running = started(ticked, tick, tick);
        let (again, sent) = left(running.wanted(at(3600), moment(tick + 10)).0);
        assert!(!sent, "its message is on its way");
        (booking, _) = left(Booking::cycle_ended(Some(again), at(tick)));
    }
    assert_eq!(arrival(&booking, 3600, 3600), Arrival::Counts(at(3600)));
    // Once its message is gone, the same time gets another.
    let replaced = Booking { later: Some(at(3600)), ..due(700) };
    let (step, arrival) = Booking::arrives(Some(replaced), Some(at(3600)), moment(650));
    assert_eq!(arrival, Arrival::Stray);
    let running = started(left(step).0, 700, 700);
    assert!(left(running.wanted(at(3600), moment(710)).0).1);
}

#[test]
fn a_message_that_meets_a_visit_is_made_up_for_when_that_ends() {
    let missed = |booking: Booking, message, now| {
        left(Booking::missed(Some(booking), at(message), at(50), moment(now))).0
    };
    let ended = |booking: &Booking, now| Booking::visit_ended(Some(booking.clone()), false, moment(now));
    let booking = missed(Booking { last_start: Some(at(0)), ..due(60) }, 60, 60);
    let (again, sent) = left(ended(&booking, 70));
    assert!(sent && again.due == Some(at(70)) && !again.missed);
    assert_eq!(booking.clone().wanted(at(65), moment(65)).1, Booked::Pending(at(60)), "triggers send none");
    // By the holder's clock it is still to come.
    assert!(left(ended(&booking, 50)).1);
    // A killed cycle's message that meets a command.
    let running = Booking { running: Some(at(0)), ..Booking::default() };
    let (again, sent) = left(ended(&missed(running, 0, 90), 100));
    assert!(sent && again.due == Some(at(100)));
    // A copy of the message that started the visit.
    let running = Booking { running: Some(at(100)), last_start: Some(at(101)), ..Booking::default() };
    let copy = |since| Booking::missed(Some(running.clone()), at(100), at(since), moment(102));
    assert_eq!(copy(100), Step::Keep);
    assert!(matches!(copy(102), Step::Save(_)), "the visit is another one: that cycle was killed");
    // A stray one is nobody's loss, and a wake-up to come is not brought forward.
    assert_eq!(Booking::missed(Some(due(60)), at(3), at(0), moment(5)), Step::Keep);
    assert_eq!(ended(&due(60), 59), Step::Keep);
    assert_eq!(ended(&due(60), 61), Step::Keep, "its message is on its way");
    assert!(left(ended(&due(60), 180)).1, "it is lost");
}
