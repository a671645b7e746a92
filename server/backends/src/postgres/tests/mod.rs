//! On a real PostgreSQL with copies of real Odoo databases.
mod corpus;
mod fuzz;
mod guard;
mod harmless;
#[cfg(feature = "libpg_query")]
mod libpg_query;
mod roles;
mod session;
