//! What a pass may do: pure, decided once at its beginning.

use crate::plan::Mode;

/// What a pass may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Nothing, because a person asked for a plan that cannot be made: no call is made, nothing is stored.
    Nothing,
    /// Show a person the plan. Nothing is stored but the account's lease and state.
    Preview,
    /// Report that the tenant's state cannot be read. Without its state a cycle does nothing.
    Report,
    /// Wait, because `MODE` is `paused`: no call is made, and inbox items stay.
    Pause,
    /// Plan and report, because that is all that the requests ask for.
    Plan,
    /// `MODE` is `observe`: plan, take snapshots, write nothing to Qualys.
    Snapshot,
    /// `MODE` is `enforce`: carry the plan out, too.
    Act,
}

impl Allowed {
    /// For a person who asks for the plan at the command line.
    pub(super) fn preview(mode: Mode) -> Self {
        match mode {
            Mode::Paused => Self::Nothing,
            Mode::Observe | Mode::Enforce => Self::Preview,
        }
    }

    /// For a cycle. `plans_only`: every inbox item that it took is a request for a plan.
    pub(super) fn cycle(mode: Mode, plans_only: bool) -> Self {
        match mode {
            Mode::Paused => Self::Pause,
            Mode::Observe | Mode::Enforce if plans_only => Self::Plan,
            Mode::Observe => Self::Snapshot,
            Mode::Enforce => Self::Act,
        }
    }

    /// The same, where the tenant's state cannot be read.
    pub(super) fn without_state(self) -> Self {
        match self {
            Self::Nothing | Self::Preview => Self::Nothing,
            Self::Report | Self::Pause | Self::Plan | Self::Snapshot | Self::Act => Self::Report,
        }
    }

    /// Whether Azure and Qualys are called.
    pub(super) fn calls(self) -> bool {
        matches!(self, Self::Preview | Self::Plan | Self::Snapshot | Self::Act)
    }

    pub(super) fn snapshots(self) -> bool {
        matches!(self, Self::Snapshot | Self::Act)
    }

    /// Whether the plan is carried out.
    pub(super) fn acts(self) -> bool {
        self == Self::Act
    }

    /// Whether the report and the status are stored.
    pub(super) fn stores_report(self) -> bool {
        !matches!(self, Self::Nothing | Self::Preview)
    }

    /// Whether the tenant's state and plan are stored.
    pub(super) fn stores_state(self) -> bool {
        matches!(self, Self::Pause | Self::Plan | Self::Snapshot | Self::Act)
    }

    /// Whether inbox items can be settled and the next wake-up booked.
    pub(super) fn settles(self) -> bool {
        matches!(self, Self::Plan | Self::Snapshot | Self::Act)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 3] = [Mode::Observe, Mode::Enforce, Mode::Paused];

    fn everything() -> impl Iterator<Item = Allowed> {
        MODES.into_iter().flat_map(|mode| {
            let all = [Allowed::preview(mode), Allowed::cycle(mode, true), Allowed::cycle(mode, false)];
            all.into_iter().flat_map(|allowed| [allowed, allowed.without_state()])
        })
    }

    #[test]
    fn only_a_cycle_in_enforce_acts_and_never_for_a_plan_or_without_state() {
        assert!(Allowed::cycle(Mode::Enforce, false).acts());
        assert!(!Allowed::cycle(Mode::Observe, false).acts() && !Allowed::cycle(Mode::Enforce, true).acts());
        assert!(!Allowed::preview(Mode::Enforce).acts());
        assert!(everything().all(|allowed| !allowed.without_state().acts()));
    }

    #[test]
    fn paused_calls_nobody_and_keeps_the_inbox() {
        for allowed in [Allowed::preview(Mode::Paused), Allowed::cycle(Mode::Paused, false)] {
            assert!(!allowed.calls() && !allowed.settles() && !allowed.snapshots(), "{allowed:?}");
        }
    }

    #[test]
    fn without_state_nobody_is_called_and_no_state_is_stored() {
        for allowed in everything().map(Allowed::without_state) {
            assert!(!allowed.calls() && !allowed.stores_state() && !allowed.settles(), "{allowed:?}");
        }
    }

    #[test]
    fn who_stores_state_stores_the_report_and_who_acts_does_all() {
        for allowed in everything() {
            assert!(!allowed.stores_state() || allowed.stores_report(), "{allowed:?}");
            assert!(!allowed.settles() || allowed.stores_state(), "{allowed:?}");
            assert!(!allowed.acts() || allowed.snapshots() && allowed.calls(), "{allowed:?}");
        }
    }

    #[test]
    fn a_preview_stores_nothing_of_the_tenant() {
        for allowed in MODES.map(Allowed::preview) {
            assert!(
                !allowed.stores_report() && !allowed.stores_state() && !allowed.snapshots(),
                "{allowed:?}"
            );
        }
    }
}
