//! Azure's side of the work: subscriptions from ARM, the identity that reads them, and Key Vault.

pub mod arm;
pub mod cloud;
pub mod identity;
pub mod vault;
