// Sign-in and verified private uploads, behind an API of their own.
import * as ai4h from "@pulumi/ai4h";

const auth = new ai4h.AuthPool("auth", {
  callbackUrls: ["https://portal.example.org/"],
  mfa: ai4h.Mfa.OPTIONAL,
});
const uploads = new ai4h.UploadBucket("uploads", {
  issuer: auth.issuer,
  clientIds: [auth.browserClientId, auth.cliClientId],
  allowedOrigins: ["https://portal.example.org"],
  maxObjectBytes: 5 * 1024 ** 3,
});
const gateway = new ai4h.Gateway("gateway", {
  userPoolArn: auth.userPoolArn,
  routes: {
    "POST /Binary": uploads.functionArn,
    "ANY /Binary/{id}": uploads.functionArn,
  },
});

export const signInUrl = auth.hostedUiUrl;
export const apiUrl = gateway.stageUrl;
export const apiKeys = gateway.apiKeys;
