// Writes the client's TLS certificate as RFC 9440 §2.1 has it: the DER in base64 between colons. For deploy/nginx-mtls.conf.
function write(r) {
    const pem = r.variables.ssl_client_raw_cert;
    return pem ? ':' + pem.replace(/-----[^-]+-----|\s/g, '') + ':' : '';
}

export default { write };
