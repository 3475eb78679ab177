//! The booking among triggers, deliveries, visits and faults in random order, at no cost of real time.
//!
//! Storage and queue are played: reading and writing `wake-up.json` is one step, since a write is conditional; sending is
//! another. A kill may come between any two steps.

use super::super::*;
use jiff::SignedDuration;

const GAP: i64 = 60;
const LEASE: i64 = 60;
const TIMER: i64 = 15 * 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// In the calm, a trigger's item is listed after this time at most: the visit under way (3 minutes), another that is
/// quicker (3), one more turn (1), the gap (1), three polls (1.5), and the small delays of a dozen steps.
const SOON: i64 = 12 * 60;
/// How long after the last fault a booking may look pending although its message is gone.
const SETTLES: i64 = 4 * 60;

/// xorshift64*: the same numbers for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: i64) -> i64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        i64::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % u64::try_from(end).unwrap())
            .unwrap()
    }

    fn one_in(&mut self, count: i64) -> bool {
        self.below(count) == 0
    }
}

#[derive(Debug, Clone, Copy)]
struct Message {
    due: Option<Timestamp>,
    visible: i64,
    /// One that nobody sent in this run: an older program's, or one that was thought lost.
    old: bool,
}

/// The next step of a trigger, a message's handler or a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Put,
    Book,
    Arrive,
    Enter,
    Start,
    List,
    /// Anything else that a visit does.
    Work,
    FollowUp,
    Release,
    Leave,
    EndCycle,
    TurnBack,
    TurnBackLook,
    Miss,
    MissLook,
    Wait,
    /// The message is removed, or the trigger answers.
    Done,
}

#[derive(Debug, Clone)]
struct Actor {
    next: Next,
    at: i64,
    /// How far its clock is ahead. A visit measures time from its start, so jumps do not reach it.
    ahead: i64,
    message: Option<Message>,
    /// For what its message was sent.
    due: Timestamp,
    /// A message that is still to be sent.
    sends: Option<Timestamp>,
    /// One that was sent, which is still to be saved.
    sent: Option<Timestamp>,
    /// What a trigger left.
    item: Option<usize>,
    lists: bool,
    /// Of another tenant on the same account.
    other: bool,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    put: i64,
    /// When its trigger answered.
    answered: Option<i64>,
    listed: Option<i64>,
}

/// Which faults come.
#[derive(Debug, Clone, Copy)]
struct Faults {
    kills: bool,
    clocks: bool,
    losses: bool,
}

struct Model {
    seed: u64,
    chance: Chance,
    time: i64,
    faults: Option<Faults>,
    ahead: [i64; 2],
    stored: Option<Booking>,
    queue: Vec<Message>,
    actors: Vec<Actor>,
    /// Who holds the account, until when at most once it is dead, and whether it is another tenant.
    holder: Option<(usize, i64, bool)>,
    /// By its clock.
    held_since: Timestamp,
    visits: usize,
    holds: Vec<usize>,
    items: Vec<Item>,
    starts: Vec<i64>,
    upsets: Vec<i64>,
    most: usize,
    follow_ups: bool,
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn seconds(wait: SignedDuration) -> i64 {
    wait.as_secs()
}

impl Model {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            chance: Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            time: 0,
            faults: None,
            ahead: [0, 2],
            stored: None,
            queue: vec![],
            actors: vec![],
            holder: None,
            held_since: Timestamp::UNIX_EPOCH,
            visits: 0,
            holds: vec![],
            items: vec![],
            starts: vec![],
            upsets: vec![],
            most: 0,
            follow_ups: true,
        }
    }

    fn actor(&mut self, next: Next) -> Actor {
        let ahead = self.ahead[usize::try_from(self.chance.below(2)).unwrap()];
        Actor {
            next,
            at: self.time + self.chance.below(3),
            ahead,
            message: None,
            due: Timestamp::UNIX_EPOCH,
            sends: None,
            sent: None,
            item: None,
            lists: true,
            other: false,
        }
    }

    /// `wake-up.json`, as it is read.
    fn read(&self, now: Timestamp) -> Option<Booking> {
        let mut stored = self.stored.clone();
        if let Some(booking) = &mut stored {
            Correction::of(booking, now);
        }
        stored
    }

    fn apply(&mut self, step: Step, actor: &mut Actor) {
        match step {
            Step::Keep => {}
            Step::Save(booking) => self.stored = Some(booking),
            Step::Send(booking, at) => {
                self.stored = Some(booking);
                actor.sends = Some(at);
            }
        }
    }

    /// One step of an actor. False when it is done.
    fn step(&mut self, index: usize) -> bool {
        let mut actor = self.actors[index].clone();
        let now = timestamp(self.time + actor.ahead);
        let moment = Moment { now, gap: Duration::from_secs(GAP.unsigned_abs()) };
        if let Some(due) = actor.sends.take() {
            let visible = self.time + seconds(due.duration_since(now)).max(0);
            let message = Message { due: Some(due), visible, old: false };
            self.queue.push(message);
            // The answer was lost, and it was sent again.
            if self.faults.is_some() && self.chance.one_in(10) {
                self.queue.push(message);
            }
            actor.sent = Some(due);
            actor.at = self.time + self.pause();
            self.actors[index] = actor;
            return true;
        }
        if let Some(due) = actor.sent.take() {
            self.apply(Booking::sent(self.read(now), due), &mut actor);
            actor.at = self.time + self.pause();
            self.actors[index] = actor;
            return true;
        }
        let id = self.holds[index];
        actor.next = match actor.next {
            Next::Done => {
                if let Some(item) = actor.item {
                    self.items[item].answered = Some(self.time);
                }
                return false;
            }
            Next::Arrive
            | Next::Enter
            | Next::Start
            | Next::TurnBackLook
            | Next::Miss
            | Next::MissLook
            | Next::Wait => self.at_the_door(&mut actor, id, moment),
            _ => self.elsewhere(&mut actor, id, moment),
        };
        actor.at = actor.at.max(self.time + self.pause());
        self.actors[index] = actor;
        true
    }

    /// A step of a message that would start a cycle. Returns the next one.
    fn at_the_door(&mut self, actor: &mut Actor, id: usize, moment: Moment) -> Next {
        let stored = self.read(moment.now);
        match actor.next {
            Next::Arrive => {
                let (step, arrival) = Booking::arrives(stored, actor.message.unwrap().due, moment);
                self.apply(step, actor);
                match arrival {
                    Arrival::Counts(due) => {
                        actor.due = due;
                        Next::Enter
                    }
                    Arrival::Stray | Arrival::Booked(_) => Next::Done,
                }
            }
            Next::Enter => match self.holder {
                None => {
                    self.holder = Some((id, i64::MAX, actor.other));
                    self.held_since = moment.now;
                    if actor.message.is_some() { Next::Start } else { Next::List }
                }
                // A command says who holds the account, and ends.
                Some(_) if actor.message.is_none() => Next::Done,
                Some((_, _, other)) => {
                    if other {
                        Next::Wait
                    } else {
                        Next::Miss
                    }
                }
            },
            Next::Start => {
                let (step, start) = Booking::starts(stored, actor.due, moment);
                self.apply(step, actor);
                if start == Start::Now {
                    self.starts.push(self.time);
                    Next::List
                } else {
                    Next::TurnBack
                }
            }
            Next::TurnBackLook => {
                self.apply(Booking::visit_ended(stored, false, moment), actor);
                Next::Done
            }
            Next::Miss => {
                self.apply(Booking::missed(stored, actor.due, self.held_since, moment), actor);
                Next::MissLook
            }
            Next::MissLook => match self.holder {
                None => {
                    self.apply(Booking::visit_ended(stored, false, moment), actor);
                    Next::Done
                }
                Some((_, _, false)) => Next::Done,
                Some((_, _, true)) => Next::Wait,
            },
            Next::Wait => {
                let until = after(moment.now, Duration::from_secs(LEASE.unsigned_abs()));
                self.apply(Booking::postponed(stored, actor.due, until, moment), actor);
                Next::Done
            }
            next => panic!("{next:?}"),
        }
    }

    /// A step of a trigger, or of a visit. Returns the next one.
    fn elsewhere(&mut self, actor: &mut Actor, id: usize, moment: Moment) -> Next {
        let (stored, now) = (self.read(moment.now), moment.now);
        match actor.next {
            Next::Put => {
                self.items.push(Item { put: self.time, answered: None, listed: None });
                actor.item = Some(self.items.len() - 1);
                Next::Book
            }
            Next::Book => {
                self.apply(stored.unwrap_or_default().wanted(now, moment).0, actor);
                Next::Done
            }
            Next::List => {
                if actor.lists && !actor.other {
                    for item in self.items.iter_mut().filter(|item| item.listed.is_none()) {
                        item.listed = Some(self.time);
                    }
                }
                Next::Work
            }
            Next::Work => {
                actor.at = self.time + self.chance.below(170);
                Next::FollowUp
            }
            Next::FollowUp => {
                if actor.lists && !actor.other && self.follow_ups {
                    let wanted = match self.chance.below(4) {
                        0 => Some(after(now, Duration::from_mins(2))),
                        // A wait that is the same for many cycles.
                        1 => Some(timestamp((self.time / DAY + 1) * DAY)),
                        2 => Some(timestamp((self.time / HOUR + 1) * HOUR)),
                        _ => None,
                    };
                    if let Some(at) = wanted {
                        self.apply(stored.unwrap_or_default().wanted(at, moment).0, actor);
                    }
                }
                Next::Release
            }
            Next::Release | Next::TurnBack => {
                self.holder = self.holder.filter(|(holder, ..)| *holder != id);
                if actor.next == Next::Release { Next::Leave } else { Next::TurnBackLook }
            }
            Next::Leave => {
                if !actor.other {
                    let has_new = self.items.iter().any(|item| item.listed.is_none());
                    self.apply(Booking::visit_ended(stored, has_new, moment), actor);
                }
                if actor.message.is_some() { Next::EndCycle } else { Next::Done }
            }
            Next::EndCycle => {
                self.apply(Booking::cycle_ended(stored, actor.due), actor);
                Next::Done
            }
            next => panic!("{next:?}"),
        }
    }

    fn pause(&mut self) -> i64 {
        if self.faults.is_some() && self.chance.one_in(20) {
            self.chance.below(40)
        } else {
            self.chance.below(3)
        }
    }

    fn begin(&mut self, actor: Actor) {
        self.visits += 1;
        self.holds.push(self.visits);
        self.actors.push(actor);
    }

    fn end(&mut self, index: usize) -> Actor {
        self.holds.remove(index);
        self.actors.remove(index)
    }

    fn kill(&mut self, index: usize) {
        let id = self.holds[index];
        let actor = self.end(index);
        if let Some(holder) = self.holder.as_mut().filter(|(holder, ..)| *holder == id) {
            holder.1 = self.time + LEASE;
        }
        // The process died, or its whole instance.
        let back = if self.chance.one_in(4) { 600 } else { 90 };
        self.queue.extend(actor.message.map(|message| Message { visible: self.time + back, ..message }));
    }

    fn fault(&mut self, faults: Faults) {
        match self.chance.below(7) {
            0..=2 if faults.kills && !self.actors.is_empty() => {
                let index = self.chance.below(i64::try_from(self.actors.len()).unwrap());
                self.kill(usize::try_from(index).unwrap());
            }
            3 if faults.clocks => {
                let scale = [5, 300, 7200, 3 * DAY][usize::try_from(self.chance.below(4)).unwrap()];
                let machine = usize::try_from(self.chance.below(2)).unwrap();
                self.ahead[machine] = self.chance.below(2 * scale) - scale;
                self.upsets.push(self.time);
            }
            4 if faults.losses => {
                self.stored = None;
                self.upsets.push(self.time);
            }
            5 if faults.losses && !self.queue.is_empty() => {
                let index = self.chance.below(i64::try_from(self.queue.len()).unwrap());
                self.queue.remove(usize::try_from(index).unwrap());
            }
            6 => {
                let due = match self.chance.below(3) {
                    0 => None,
                    1 => Some(timestamp(self.time - self.chance.below(HOUR))),
                    // Another copy of one that is under way or in the queue.
                    _ => self.actors.iter().find_map(|actor| actor.message?.due),
                };
                self.queue.push(Message { due, visible: self.time, old: true });
            }
            _ => {}
        }
    }

    /// Goes on until `end`, with a trigger every `every` seconds on average.
    fn run(&mut self, end: i64, every: Option<i64>, timer: bool) {
        while self.time < end {
            // A queue is polled, and a host serves one message at a time.
            let serving = self.actors.iter().filter(|actor| actor.message.is_some()).count();
            if serving < 2
                && let Some(index) = self.queue.iter().position(|message| message.visible <= self.time)
                && self.chance.one_in(8)
            {
                let message = self.queue.remove(index);
                let actor = Actor { message: Some(message), ..self.actor(Next::Arrive) };
                self.begin(actor);
            }
            if every.is_some_and(|every| self.chance.one_in(every)) || timer && self.time % TIMER == 0 {
                let actor = self.actor(Next::Put);
                self.begin(actor);
            }
            if every.is_some() && self.chance.one_in(900) {
                let (lists, other) = (self.chance.one_in(2), self.chance.one_in(2));
                let actor = Actor { lists, other, ..self.actor(Next::Enter) };
                self.begin(actor);
            }
            if let Some(faults) = self.faults.filter(|_| self.chance.one_in(40)) {
                self.fault(faults);
            }
            self.holder = self.holder.filter(|(_, ends, _)| *ends > self.time);
            let mut index = 0;
            while index < self.actors.len() {
                if self.actors[index].at <= self.time && !self.step(index) {
                    self.end(index);
                } else {
                    index += 1;
                }
            }
            let sent = self.queue.iter().filter(|message| !message.old).count();
            self.most = self.most.max(sent);
            self.time += 1;
            // While nothing else can happen, the next message is all that there is.
            if self.actors.is_empty() && every.is_none() && !timer {
                let next = self.queue.iter().map(|message| message.visible).min().unwrap_or(end);
                self.time = self.time.max(next.min(end));
            }
        }
    }

    fn calm(&mut self) {
        (self.faults, self.ahead) = (None, [0, 2]);
    }

    /// Every item that was put at or after `since` is listed soon.
    fn assert_listed(&self, since: i64, soon: i64) {
        for item in self.items.iter().filter(|item| item.put >= since && item.put + soon < self.time) {
            let waited = item.listed.map(|listed| listed - item.put);
            assert!(
                waited.is_some_and(|waited| waited <= soon),
                "seed {}: an item of {} s (answered {:?}) waited {waited:?} s; {:?}; {:?}",
                self.seed,
                item.put,
                item.answered,
                self.stored,
                self.queue
            );
        }
    }

    /// No hour has more cycles than the gap allows, but for one more for each upset of a clock or of the booking.
    fn assert_few_cycles(&self) {
        for (first, start) in self.starts.iter().enumerate() {
            let within = |time: &&i64| (*start..start + HOUR).contains(*time);
            let cycles = self.starts[first..].iter().filter(within).count();
            let upsets =
                self.upsets.iter().filter(|time| (start - HOUR..start + HOUR).contains(*time)).count();
            // Two clocks that differ by two seconds.
            let most = usize::try_from(HOUR / (GAP - 2)).unwrap() + 1 + 2 * upsets;
            assert!(cycles <= most, "seed {}: {cycles} cycles within an hour of {start}", self.seed);
        }
    }
}

/// Random faults for hours; then calm with triggers and no timer; then no trigger.
fn storm(seed: u64, faults: Faults) {
    let mut model = Model::new(seed);
    model.faults = Some(faults);
    let busy = [20, 120, 900][usize::try_from(seed % 3).unwrap()];
    model.run(6 * HOUR, Some(busy), true);
    // One that is due, one that was booked later, and for the two minutes of a follow-up those that were replaced or sent twice.
    // Each clock that jumps leaves a few far from now.
    let most = 16 + 2 * model.upsets.len();
    assert!(model.most <= most, "seed {seed}: {} messages at once", model.most);
    model.calm();
    let calm = model.time;
    model.run(calm + SETTLES, None, false);
    let quiet = model.time;
    // Without the timer, each trigger has its cycle soon.
    model.run(quiet + 2 * HOUR, Some(600), false);
    model.assert_listed(quiet, SOON);
    model.assert_few_cycles();
    // Follow-ups may go on for ever, as in life; without them everything dies out.
    model.follow_ups = false;
    let last = model.time;
    model.run(last + 25 * HOUR, None, false);
    assert!(model.queue.is_empty() && model.actors.is_empty(), "seed {seed}: {:?}", model.queue);
    let cycles = model.starts.iter().filter(|start| **start > last).count();
    assert!(cycles <= 5, "seed {seed}: {cycles} cycles after the last trigger");
    assert!(model.items.iter().all(|item| item.listed.is_some()), "seed {seed}: an item was forgotten");
}

#[test]
fn no_order_of_faults_puts_a_tenant_to_sleep_or_lets_messages_live_on() {
    for seed in 1..=200 {
        storm(seed, Faults { kills: true, clocks: seed % 2 == 0, losses: seed % 5 == 0 });
    }
}

/// One kill, of a trigger or of a message's handler; what sent it delivers it again. A command has nobody who repeats it.
fn one_kill(seed: u64) {
    let mut model = Model::new(seed);
    model.run(HOUR, Some(90), false);
    let skipped = model.chance.below(600);
    model.run(HOUR + skipped, Some(90), false);
    let killable =
        |actor: &Actor| actor.message.is_some() || matches!(actor.next, Next::Put | Next::Book | Next::Done);
    loop {
        let found: Vec<_> = (0..model.actors.len()).filter(|index| killable(&model.actors[*index])).collect();
        if !found.is_empty() {
            let index =
                found[usize::try_from(model.chance.below(i64::try_from(found.len()).unwrap())).unwrap()];
            let is_trigger = model.actors[index].message.is_none();
            model.kill(index);
            if is_trigger {
                let again = model.actor(Next::Put);
                model.begin(Actor { at: model.time + 30, ..again });
            }
            break;
        }
        model.run(model.time + 1, Some(90), false);
    }
    let killed = model.time;
    model.run(killed + HOUR, None, false);
    // When the whole instance dies, its message stays hidden for ten minutes.
    model.assert_listed(0, SOON + 600);
    assert!(model.items.iter().all(|item| item.listed.is_some()), "seed {seed}: an item was forgotten");
}

#[test]
fn one_kill_at_any_point_needs_no_timer() {
    for seed in 1..=400 {
        one_kill(seed);
    }
}
