//! The source of Odoo modules as text: changing a file by a diff, reading a manifest, making a new module.
//!
//! Pure functions without I/O. Who may read or write which file is decided elsewhere.
pub mod manifest;
pub mod patch;
pub mod scaffold;
