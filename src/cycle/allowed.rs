//! What a pass may do: pure, decided once at its beginning.

use crate::plan::Mode;

/// What a pass may do. Each may do more than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Nothing, because a person asked for a plan that cannot be made: no call is made, nothing is stored.
    Nothing,
    /// Show a person the plan. Only the account's lease and the count of its calls are stored.
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
    /// `preview`: a person asked for the plan at the command line. `state_readable`: the tenant's state can be used.
    /// `plans_only`: every inbox item that was taken is a request for a plan.
    pub(super) fn decide(mode: Mode, preview: bool, state_readable: bool, plans_only: bool) -> Self {
        match (preview, state_readable, mode) {
            (true, false, _) | (true, true, Mode::Paused) => Self::Nothing,
            (true, true, Mode::Observe | Mode::Enforce) => Self::Preview,
            (false, false, _) => Self::Report,
            (false, true, Mode::Paused) => Self::Pause,
            (false, true, Mode::Observe | Mode::Enforce) if plans_only => Self::Plan,
            (false, true, Mode::Observe) => Self::Snapshot,
            (false, true, Mode::Enforce) => Self::Act,
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

    fn everything() -> Vec<Allowed> {
        let mut all = Vec::new();
        for mode in MODES {
            for bits in 0..8 {
                all.push(Allowed::decide(mode, bits & 1 == 0, bits & 2 == 0, bits & 4 == 0));
            }
        }
        all
    }

    #[test]
    fn only_enforce_acts_and_never_for_a_preview_a_plan_or_without_state() {
        for (preview, readable, plans_only) in
            [(true, true, false), (false, false, false), (false, true, true)]
        {
            assert!(!Allowed::decide(Mode::Enforce, preview, readable, plans_only).acts());
        }
        assert!(Allowed::decide(Mode::Enforce, false, true, false).acts());
        assert!(!Allowed::decide(Mode::Observe, false, true, false).acts());
    }

    #[test]
    fn paused_calls_nobody_and_keeps_the_inbox() {
        for preview in [true, false] {
            let allowed = Allowed::decide(Mode::Paused, preview, true, false);
            assert!(!allowed.calls() && !allowed.settles() && !allowed.snapshots());
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
        for mode in MODES {
            for state_readable in [true, false] {
                let allowed = Allowed::decide(mode, true, state_readable, false);
                assert!(!allowed.stores_report() && !allowed.stores_state() && !allowed.snapshots());
            }
        }
    }
}
