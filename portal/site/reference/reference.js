// The API's OpenAPI document, to read and to try out with one's own key and token.
// It is served here, since the API gives its own to signed-in users only; tools/api_reference.py
// writes it. Types in detail: GET /openapi.json?_type=… of the API.
const [spec, settings] = await Promise.all(
  ["openapi.json", "../settings.json"].map(async (path) => {
    const answer = await fetch(path).catch(() => null);
    return answer?.ok ? answer.json() : null;
  }),
);
spec.servers = [{ url: settings?.apiUrl ?? `${location.origin}/api` }];

window.SwaggerUIBundle({
  spec,
  dom_id: "#reference",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1, // hundreds of data types
  persistAuthorization: false, // a token isn't kept beyond the page
  syntaxHighlight: false,
  validatorUrl: null,
});
