//! On a real PostgreSQL with copies of real Odoo databases.
mod corpus;
mod fuzz;
mod guard;
mod harmless;
mod roles;
mod session;
