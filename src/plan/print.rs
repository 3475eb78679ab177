//! A plan as people read it: one line for each step (`+` creates, `~` changes, `-` removes).

use super::{Cost, Mode, Plan, Step};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Observe => "observe: nothing is written to Qualys",
            Mode::Enforce => "enforce",
            Mode::Paused => "paused",
        };
        writeln!(f, "Plan for tenant {} ({mode})", self.tenant)?;
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        if self.steps.is_empty() {
            writeln!(f, "  nothing to do")?;
        }
        for kept in &self.kept {
            writeln!(f, "{kept}")?;
        }
        for scope in &self.unreadable {
            writeln!(f, "! scope {} could not be read: {}", scope.scope, scope.why)?;
        }
        if let Some(doubt) = &self.doubt {
            writeln!(f, "! {doubt}. If they were deleted: `{}`", doubt.command())?;
        }
        for doubt in self.clock.lines() {
            writeln!(f, "! {doubt}")?;
        }
        writeln!(f, "{}", self.cost)?;
        writeln!(f, "{}", self.coverage)?;
        write!(f, "hash {}", self.hash)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.reason)?;
        match &self.withheld {
            Some(why) => write!(f, " [withheld: {why}]"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { creates, runs, removals, withheld, calls, hours, switches_on } = self;
        write!(
            f,
            "{creates} to create, {runs} to run, {removals} to disable, {withheld} withheld; {calls} calls to Qualys"
        )?;
        if *hours > 0 {
            write!(f, ", about {hours} h at the account's limit")?;
        }
        if !switches_on.is_empty() {
            write!(f, "; new connectors switch on {}", switches_on.join(", "))?;
        }
        Ok(())
    }
}
