#!/bin/bash
# Behaves as the official image's: database settings from the environment, unless the configuration file has them, as flags.
set -e
if [ -v PASSWORD_FILE ]; then
    PASSWORD="$(<"$PASSWORD_FILE")"
fi
: "${HOST:=db}" "${PORT:=5432}" "${USER:=odoo}" "${PASSWORD:=odoo}"
flags=()
setting() {
    local value=$2
    if grep -qE "^\s*\b$1\b\s*=" "$ODOO_RC"; then
        value=$(grep -E "^\s*\b$1\b\s*=" "$ODOO_RC" | cut -d ' ' -f 3 | tr -d '"\n\r')
    fi
    flags+=("--$1" "$value")
}
setting db_host "$HOST"
setting db_port "$PORT"
setting db_user "$USER"
setting db_password "$PASSWORD"
case $1 in
-- | odoo)
    shift
    exec odoo "$@" "${flags[@]}"
    ;;
-*) exec odoo "$@" "${flags[@]}" ;;
*) exec "$@" ;;
esac
