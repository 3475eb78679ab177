//! Azure's side: ARM, and the identity that reads it. Blob and queue clients take their place here.

pub mod arm;
pub mod identity;
