import CCurl
import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// One HTTP request as curl's options, and curl's outcome as an answer or an error.
enum HTTPTransfer {
    // MARK: The request

    /// Refuses what would let a value break out of its place in the message.
    static func check(_ request: HTTPClient.Request) throws(HTTPClientError) {
        let place = "\(request.method) \(SafeURL.text(request.url))"
        guard !request.method.isEmpty, request.method.utf8.allSatisfy(isTokenByte) else {
            throw .invalid("the method of a request to \(SafeURL.text(request.url)) is no token")
        }
        guard request.url.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw .invalid("\(place): the URL contains blanks or control characters")
        }
        guard SafeURL.hasScheme(request.url, of: ["http", "https"]) else { throw .invalid("\(place): the URL is neither http nor https") }
        var fault: String?
        request.headers.forEach { name, value in
            if name.isEmpty || !name.utf8.allSatisfy(isTokenByte) { fault = "a header's name is no token" }
            if value.utf8.contains(where: { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F }) { fault = "header \(name) contains control characters" }
        }
        if let fault { throw .invalid("\(place): \(fault)") }
        if request.unixSocket?.utf8.contains(0) == true { throw .invalid("\(place): the socket's path contains a zero byte") }
    }

    /// On the loop. Nil when curl refused the handle; `done` has then been called.
    static func make(
        _ request: HTTPClient.Request, userAgent: String, trustedCertificates: String?,
        _ done: @escaping (Result<HTTPClient.Response, HTTPClientError>) -> Void
    ) -> CurlTransfer? {
        let transfer = CurlTransfer(upload: request.body, responseLimit: request.responseLimit) { transfer, ending in
            done(outcome(of: request, transfer, ending))
        }
        guard let transfer else {
            done(.failure(error(.other, request, "no memory for a transfer", isTransient: true, reached: false)))
            return nil
        }
        transfer.set(CURLOPT_URL, request.url)
        transfer.note(quittance_curl_allow_http(transfer.easy))
        transfer.set(CURLOPT_USERAGENT, userAgent)
        transfer.set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1)
        transfer.set(CURLOPT_TIMEOUT_MS, milliseconds: request.timeout)
        transfer.set(CURLOPT_CONNECTTIMEOUT_MS, milliseconds: min(request.connectTimeout, request.timeout))
        transfer.set(CURLOPT_FOLLOWLOCATION, request.followRedirects ? 1 : 0)
        transfer.set(CURLOPT_MAXREDIRS, 5)
        if request.freshConnection {
            transfer.set(CURLOPT_FRESH_CONNECT, 1)
            transfer.set(CURLOPT_FORBID_REUSE, 1)
        }
        if let trustedCertificates { transfer.set(CURLOPT_CAINFO, trustedCertificates) }
        if let unixSocket = request.unixSocket {
            transfer.set(CURLOPT_UNIX_SOCKET_PATH, unixSocket)
            transfer.set(CURLOPT_PROXY, "")
        } else {
            transfer.set(CURLOPT_NOPROXY, directHosts)
        }
        setMethodAndHeaders(transfer, request)
        return transfer
    }

    private static func setMethodAndHeaders(_ transfer: CurlTransfer, _ request: HTTPClient.Request) {
        let sendsBody = !request.body.isEmpty || ["POST", "PUT", "PATCH"].contains(request.method)
        if sendsBody {
            transfer.set(CURLOPT_POST, 1)
            transfer.setUploadSize(CURLOPT_POSTFIELDSIZE_LARGE)
        } else if request.method == "HEAD" {
            transfer.set(CURLOPT_NOBODY, 1)
        }
        // POST, GET and HEAD by curl's own names, so that a redirection may change them as browsers do.
        if !(sendsBody ? request.method == "POST" : ["GET", "HEAD"].contains(request.method)) {
            transfer.set(CURLOPT_CUSTOMREQUEST, request.method)
        }
        var lines: [String] = []
        // An empty value needs curl's other notation; "Name:" takes a header of curl's own away.
        request.headers.forEach { name, value in lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)") }
        if sendsBody {
            if !request.headers.contains("Expect") { lines.append("Expect:") }
            if !request.headers.contains("Content-Type") { lines.append("Content-Type:") }
        }
        transfer.set(CURLOPT_HTTPHEADER, list: lines)
    }

    /// What never goes through a proxy: the environment's list, and this machine itself.
    private static let directHosts: String = {
        let own = "localhost,127.0.0.1,::1"
        let listed = (getenv("no_proxy") ?? getenv("NO_PROXY")).map { String(cString: $0) } ?? ""
        return listed == "*" ? listed : (listed.isEmpty ? own : "\(listed),\(own)")
    }()

    /// RFC 9110's token.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    // MARK: The outcome

    private static func outcome(
        of request: HTTPClient.Request, _ transfer: CurlTransfer, _ ending: CurlTransfer.Ending
    ) -> Result<HTTPClient.Response, HTTPClientError> {
        let reached = transfer.number(CURLINFO_REQUEST_SIZE) > 0
        guard case .finished(let code) = ending else {
            return .failure(error(.cancelled, request, "cancelled", isTransient: true, reached: reached))
        }
        if transfer.isTooLarge {
            let rule = "the answer has more than \(request.responseLimit) bytes of body, or too many of headers"
            return .failure(error(.tooLarge, request, rule, isTransient: false, reached: reached))
        }
        guard code == CURLE_OK else { return .failure(failure(of: request, transfer, code, reached: reached)) }
        var headers = HTTPHeaders()
        for line in transfer.headerLines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
            headers.append(nameBytes: line[..<colon], valueBytes: value)
        }
        return .success(HTTPClient.Response(status: transfer.number(CURLINFO_RESPONSE_CODE), headers: headers, body: transfer.received))
    }

    private static func failure(
        of request: HTTPClient.Request, _ transfer: CurlTransfer, _ code: CURLcode, reached: Bool
    ) -> HTTPClientError {
        var kind = CurlFailure.classify(code)
        // After the request has left, what curl does not understand is the answer or where it points.
        if kind.code == .invalidRequest && reached { kind.code = .protocolError }
        let sentence =
            switch kind.code {
            case .timeout where reached: "no whole answer within \(request.timeout)"
            case .timeout: "no connection within \(min(request.connectTimeout, request.timeout))"
            // These texts name hosts and certificates, never what was sent.
            case .resolve, .connect, .tls: transfer.failureText(code)
            default: String(cString: curl_easy_strerror(code))
            }
        return error(kind.code, request, sentence, isTransient: kind.isTransient, reached: reached)
    }

    private static func error(
        _ code: HTTPClientError.Code, _ request: HTTPClient.Request, _ sentence: String, isTransient: Bool, reached: Bool
    ) -> HTTPClientError {
        HTTPClientError(
            code: code, message: "\(request.method) \(SafeURL.text(request.url)): \(sentence)", isTransient: isTransient,
            mayHaveReachedServer: reached)
    }
}
