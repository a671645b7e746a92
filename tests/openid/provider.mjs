// A real OpenID provider on loopback. Arguments: a folder with cert.pem and key.pem, the folder in which it is installed, and where wanted
// its host name and the redirect URI of its clients.
// Prints its port when it listens. Ends when its standard input does.
import { createServer } from 'node:https';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Standard output is for the port alone.
console.info = console.warn = console.error;
const [certificates, modules, host = 'op.example', redirect = 'https://ocore.example/openid/real/callback'] = process.argv.slice(2);
const entry = createRequire(`${modules}/package.json`).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(entry).href);

const key = (type, options, alg) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: alg,
});
const people = {
  ada: { email: 'Ada@Example.com', email_verified: true, name: 'Ada Lovelace', groups: ['staff', 'admins'] },
  bob: { email: 'bob@example.com', email_verified: true, name: 'Bob' },
  eve: { email: 'ada@example.com', email_verified: false, name: 'Eve' },
};
const redirect_uris = [redirect];
const client = (client_id, more) => ({
  client_id, client_secret: 'a secret that is long enough', redirect_uris, response_types: ['code'],
  grant_types: ['authorization_code'], ...more,
});

const server = createServer({
  cert: readFileSync(`${certificates}/cert.pem`), key: readFileSync(`${certificates}/key.pem`),
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`https://${host}:${port}`, {
    clients: [
      client('basic', { token_endpoint_auth_method: 'client_secret_basic' }),
      client('post', { token_endpoint_auth_method: 'client_secret_post', id_token_signed_response_alg: 'PS256' }),
      client('public', { token_endpoint_auth_method: 'none', client_secret: undefined, id_token_signed_response_alg: 'ES256' }),
      client('hmac', { id_token_signed_response_alg: 'HS256' }),
      client('eddsa', { id_token_signed_response_alg: 'EdDSA' }),
    ],
    jwks: { keys: [
      key('rsa', { modulusLength: 2048 }, 'RS256'), key('rsa', { modulusLength: 2048 }, 'PS256'),
      key('ec', { namedCurve: 'P-256' }, 'ES256'), key('ed25519', {}, 'EdDSA'),
    ] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    // Claims of scopes are in the userinfo answer alone, as section 5.4 has it.
    conformIdTokenClaims: true,
    cookies: { keys: [randomBytes(32).toString('hex')] },
    pkce: { required: () => true },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    findAccount: (ctx, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  });
  server.on('request', provider.callback());
  console.log(port);
});
process.stdin.resume().on('end', () => process.exit(0));
