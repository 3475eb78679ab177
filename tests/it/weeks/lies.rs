//! The lies: what Qualys, Azure, the queue and the clock may do wrong for a while.

use super::chance::Chance;
use super::estate::Estate;
use jiff::SignedDuration;
use world::{Access, CallKind, Fault, Kind, LastSyncForm, Shown};

/// Something wrong that lasts for a while.
#[derive(Debug)]
pub(super) enum Lie {
    /// Qualys or ARM answers every so-manieth call of one kind in this way.
    Answers { call: CallKind, kind: Kind, every: u64 },
    /// The identity's role is lost: on the management group, or on one subscription.
    RoleLost { subscription: Option<String> },
    /// Answers under HTTP 200 lack these connectors.
    Hidden { connectors: Vec<i64>, shown: Shown },
    /// Answers lack the subscription of these connectors.
    SubscriptionNotStated { connectors: Vec<i64>, shown: Shown },
    /// Answers state the time of the last sync in an odd way, or not at all.
    LastSync(LastSyncForm),
    /// Qualys's clock is wrong.
    QualysClock { ahead: SignedDuration },
    /// The clock of the machine that the program runs on is wrong.
    OurClock { ahead: SignedDuration },
}

const MINUTES: fn(i64) -> SignedDuration = SignedDuration::from_mins;

impl Lie {
    pub(super) fn any(estate: &Estate, chance: &mut Chance) -> Self {
        let every = *chance.pick(&[1, 1, 2, 3, 7]);
        match chance.below(16) {
            0 => Self::RoleLost { subscription: None },
            1 => {
                let all: Vec<&String> = estate.subscriptions.keys().collect();
                Self::RoleLost { subscription: Some((*chance.pick(&all)).clone()) }
            }
            2 => Self::OurClock { ahead: MINUTES(*chance.pick(&[-4320, -600, -10, -1, 1, 10, 600, 4320])) },
            3 => Self::Hidden { connectors: some(estate, chance), shown: Shown::ByIdAlone },
            4 => Self::Hidden { connectors: many(estate, chance), shown: Shown::Nowhere },
            5 => Self::SubscriptionNotStated { connectors: some(estate, chance), shown: shown(chance) },
            6 => Self::LastSync(*chance.pick(&[
                LastSyncForm::Missing,
                LastSyncForm::WithoutZone,
                LastSyncForm::OffBy(MINUTES(-480)),
                LastSyncForm::OffBy(MINUTES(480)),
                LastSyncForm::NoTime,
            ])),
            7 => Self::QualysClock { ahead: MINUTES(*chance.pick(&[-1440, -480, -10, 10, 480, 1440])) },
            _ => {
                let call = *chance.pick(&[
                    CallKind::ConnectorSearch,
                    CallKind::ConnectorSearch,
                    CallKind::ConnectorGet,
                    CallKind::ConnectorCreate,
                    CallKind::ConnectorRun,
                    CallKind::ConnectorUpdate,
                    CallKind::HostSearch,
                    CallKind::HostCount,
                    CallKind::ArmList,
                    CallKind::ArmGet,
                    CallKind::ArmDescendants,
                ]);
                Self::Answers { call, kind: kind(chance), every }
            }
        }
    }

    pub(super) fn begin(&self, estate: &Estate) {
        let world = &estate.stage.world;
        match self {
            Self::Answers { call, kind, every } => world.fault(Fault::new(*call, kind.clone()).every(*every)),
            Self::RoleLost { subscription: None } => world.group_access("root", Access::Forbidden),
            Self::RoleLost { subscription: Some(id) } => {
                world.edit_subscription(id, |one| one.access = Access::Forbidden);
            }
            Self::Hidden { connectors, shown } => {
                connectors.iter().for_each(|id| world.edit_connector(*id, |one| one.shown = *shown));
            }
            Self::SubscriptionNotStated { connectors, shown } => {
                connectors
                    .iter()
                    .for_each(|id| world.edit_connector(*id, |one| one.shows_subscription = *shown));
            }
            Self::LastSync(form) => world.last_sync_form(*form),
            Self::QualysClock { ahead } => world.qualys_clock_off_by(*ahead),
            Self::OurClock { .. } => {}
        }
    }

    /// Ends every lie.
    pub(super) fn end_all(estate: &Estate) {
        let world = &estate.stage.world;
        world.clear_faults();
        world.last_sync_form(LastSyncForm::Zoned);
        world.qualys_clock_off_by(SignedDuration::ZERO);
        for one in world.connectors() {
            world.edit_connector(one.id, |one| {
                (one.shown, one.shows_subscription) = (Shown::Everywhere, Shown::Everywhere);
            });
        }
        world.group_access("root", Access::Readable);
        for id in estate.subscriptions.keys() {
            world.edit_subscription(id, |one| one.access = Access::Readable);
        }
    }
}

/// All connectors, or some of them.
fn some(estate: &Estate, chance: &mut Chance) -> Vec<i64> {
    let all = estate.stage.world.connectors().into_iter().map(|one| one.id);
    let one_in = *chance.pick(&[1, 2, 10, 30]);
    all.filter(|_| chance.once_in(one_in)).collect()
}

/// So many that a list without them is doubtful. A few that lists, gets and searches all lack for over an hour cannot be told from
/// connectors that somebody deleted.
fn many(estate: &Estate, chance: &mut Chance) -> Vec<i64> {
    let all: Vec<i64> = estate.stage.world.connectors().into_iter().map(|one| one.id).collect();
    let hidden = all.len() / *chance.pick(&[1, 2, 3]);
    all.into_iter().take(hidden).collect()
}

fn shown(chance: &mut Chance) -> Shown {
    *chance.pick(&[Shown::ByIdAlone, Shown::ByIdAlone, Shown::Nowhere])
}

fn kind(chance: &mut Chance) -> Kind {
    let kinds = [
        Kind::Status(500),
        Kind::Status(403),
        Kind::Html404,
        Kind::Html502,
        Kind::Conflict409 { code: 1920, wait: None },
        Kind::Conflict409 { code: 1960, wait: None },
        Kind::Conflict409 { code: 1965, wait: Some(600) },
        Kind::TooMany429 { retry_after: None },
        Kind::TooMany429 { retry_after: Some(900) },
        Kind::Empty200,
        Kind::TruncatedJson,
        Kind::TornBody,
        Kind::ErrorUnder200("INVALID_REQUEST".into()),
        Kind::ErrorUnder200("OBJECT_NOT_FOUND".into()),
        Kind::ErrorUnder200("SOMETHING_NEW".into()),
        Kind::ErrorUnder200("LIMIT_EXCEEDED".into()),
        Kind::ResetBefore,
        Kind::ResetAfter,
        Kind::WrongCount(1),
        Kind::WrongCount(-1),
        Kind::DropRow,
        Kind::DuplicateRow,
        Kind::WithoutField("authRecord"),
        Kind::WithoutField("connectorState"),
        Kind::WithoutField("description"),
        Kind::WithoutField("disabled"),
        Kind::WithoutField("isAttachedToOrgConnector"),
    ];
    chance.pick(&kinds).clone()
}
