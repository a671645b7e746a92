//! The functions, operators, types, collations and fields of time that a statement may use. What is not here is refused.

/// Functions of PostgreSQL's own that compute from their arguments alone: they read no table, file, setting or session
/// and change nothing. All are called as `pg_catalog.name`.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[&str] = &[
    // aggregates
    "array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop", "covar_samp",
    "every", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "max", "min", "mode", "percentile_cont",
    "percentile_disc", "range_agg", "range_intersect_agg", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept",
    "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop", "stddev_samp", "string_agg", "sum",
    "var_pop", "var_samp", "variance", "any_value",
    // windows
    "cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank", "rank",
    "row_number",
    // numbers
    "abs", "acos", "acosd", "asin", "asind", "atan", "atan2", "atan2d", "atand", "cbrt", "ceil", "ceiling", "cos", "cosd",
    "cosh", "cot", "cotd", "degrees", "div", "erf", "erfc", "exp", "factorial", "floor", "gcd", "lcm", "ln", "log", "log10",
    "min_scale", "mod", "pi", "power", "radians", "random", "round", "scale", "sign", "sin", "sind", "sinh", "sqrt", "tan",
    "tand", "tanh", "trim_scale", "trunc", "width_bucket",
    // text
    "ascii", "bit_length", "btrim", "char_length", "character_length", "chr", "concat", "concat_ws", "decode", "encode",
    "format", "initcap", "left", "length", "lower", "ltrim", "md5", "normalize", "octet_length", "overlay", "position",
    "quote_ident", "quote_literal", "quote_nullable", "regexp_count", "regexp_instr", "regexp_like", "regexp_match",
    "regexp_matches", "regexp_replace", "regexp_split_to_array", "regexp_split_to_table", "regexp_substr", "replace",
    "reverse", "right", "rtrim", "sha224", "sha256", "sha384", "sha512", "split_part", "starts_with", "string_to_array",
    "string_to_table", "strpos", "substr", "substring", "to_ascii", "to_bin", "to_hex", "to_oct", "translate", "trim",
    "unistr", "upper",
    // sized: see `SIZED`
    "lpad", "repeat", "rpad",
    // dates and times
    "age", "clock_timestamp", "date", "date_add", "date_bin", "date_part", "date_subtract", "date_trunc", "isfinite",
    "justify_days", "justify_hours", "justify_interval", "make_date", "make_interval", "make_time", "make_timestamp",
    "make_timestamptz", "now", "statement_timestamp", "timezone", "to_char", "to_date", "to_number", "to_timestamp",
    "transaction_timestamp",
    // json
    "array_to_json", "json_array_elements", "json_array_elements_text", "json_array_length", "json_build_array",
    "json_build_object", "json_each", "json_each_text", "json_extract_path", "json_extract_path_text", "json_object",
    "json_object_keys", "json_strip_nulls", "json_to_record", "json_to_recordset", "json_typeof", "jsonb_array_elements",
    "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_concat",
    "jsonb_contained", "jsonb_contains", "jsonb_each", "jsonb_each_text", "jsonb_exists", "jsonb_exists_all",
    "jsonb_exists_any", "jsonb_extract_path", "jsonb_extract_path_text", "jsonb_insert", "jsonb_object", "jsonb_object_keys",
    "jsonb_path_exists", "jsonb_path_exists_tz", "jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query",
    "jsonb_path_query_array", "jsonb_path_query_array_tz", "jsonb_path_query_first", "jsonb_path_query_first_tz",
    "jsonb_path_query_tz", "jsonb_pretty", "jsonb_set", "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record",
    "jsonb_to_recordset", "jsonb_typeof", "row_to_json", "to_json", "to_jsonb",
    // arrays and ranges
    "array_append", "array_cat", "array_dims", "array_length", "array_lower", "array_ndims", "array_position",
    "array_positions", "array_prepend", "array_remove", "array_replace", "array_to_string", "array_upper", "cardinality",
    "trim_array", "unnest", "daterange", "int4range", "int8range", "isempty", "lower_inc", "lower_inf", "numrange",
    "range_merge", "tsrange", "tstzrange", "upper_inc", "upper_inf",
    // sets
    "generate_series", "generate_subscripts",
    // others
    "gen_random_uuid", "like_escape", "similar_escape", "similar_to_escape", "num_nonnulls", "num_nulls", "pg_size_pretty",
    "pg_typeof",
];

/// Functions whose second argument says how long the result gets: it must be a number in the text, at most this.
pub(super) const SIZED: [&str; 3] = ["lpad", "repeat", "rpad"];
/// See [`SIZED`].
pub(super) const LONGEST_PAD: u64 = 10_000;

/// What looks like a function and is grammar: written as it stands.
pub(super) const GRAMMAR: [&str; 6] = ["coalesce", "greatest", "grouping", "least", "nullif", "row"];

/// Times that are written without parentheses.
pub(super) const CLOCKS: [&str; 5] = ["current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"];

/// Functions of extensions that Odoo's modules install into `public`; they compute from their arguments alone.
pub(super) const EXTENSIONS: [&str; 5] =
    ["similarity", "strict_word_similarity", "unaccent", "word_similarity", "immutable_unaccent"];

/// Functions whose columns are called `key` and `value`, whatever their alias is.
pub(super) const NAMED: [&str; 8] = [
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
];

/// Functions that may stand in FROM with columns that the statement names with types.
pub(super) const RECORDS: [&str; 4] = ["json_to_record", "json_to_recordset", "jsonb_to_record", "jsonb_to_recordset"];

/// What PostgreSQL calls a column that has no name of its own, besides the names of functions and types.
pub(super) const UNNAMED: [&str; 14] = [
    "array",
    "bool",
    "case",
    "coalesce",
    "date_part",
    "exists",
    "extract",
    "greatest",
    "grouping",
    "key",
    "least",
    "nullif",
    "ordinality",
    "value",
];

/// Operators that sqlparser keeps as text.
pub(super) const OPERATORS: [&str; 16] =
    ["!~~", "!~~*", "~~", "~~*", "<%", "%>", "<->", "<<->", "<->>", "-|-", "?|", "?&", "<<%", "%>>", "!=", "^@"];

/// Types by their names in `pg_catalog` that are not of the grammar.
#[rustfmt::skip]
pub(super) const TYPES: &[&str] = &[
    "bool", "bpchar", "bytea", "cidr", "date", "daterange", "float4", "float8", "inet", "int2", "int4", "int4range", "int8",
    "int8range", "interval", "json", "jsonb", "jsonpath", "macaddr", "money", "numeric", "numrange", "text", "time",
    "timestamp", "timestamptz", "timetz", "tsrange", "tstzrange", "uuid", "varchar",
];

/// Collations: PostgreSQL's own by name, those of the system (`fr_BE`, `fr_BE.utf8`) and of ICU (`fr-x-icu`) by their form.
pub(super) fn is_collation(name: &str) -> bool {
    let of_a_system = |name: &str| name.len() == 5 && name.as_bytes().get(2) == Some(&b'_');
    let base = name.strip_suffix(".utf8").or_else(|| name.strip_suffix(".UTF-8")).unwrap_or(name);
    matches!(name, "C" | "POSIX" | "default" | "ucs_basic" | "unicode" | "C.utf8" | "C.UTF-8")
        || (name.len() <= 32
            && (name.ends_with("-x-icu") || of_a_system(base))
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')))
}
