import CCurl

#if canImport(Glibc)
    import Glibc
#endif

/// One transfer: an easy handle with its bytes in both directions. Belongs to one thread, that of its loop where it has one.
final class CurlTransfer {
    enum Ending {
        case finished(CURLcode)
        /// Cancelled, or its client closed.
        case aborted
    }

    /// Header lines together; curl bounds a single line only.
    private static let headerBytesMax = 64 << 10

    let easy: UnsafeMutableRawPointer
    /// Body bytes received, at most `responseLimit`.
    private(set) var received: [UInt8] = []
    /// Header lines of the last answer, status line included, without their line ends.
    private(set) var headerLines: [[UInt8]] = []
    /// The answer was larger than allowed, which ended the transfer.
    private(set) var isTooLarge = false
    /// The first option that curl refused; it makes ``complete(_:)`` report a failure.
    private(set) var refusedOption: CURLcode?

    private let upload: [UInt8]
    private var uploaded = 0
    private let responseLimit: Int
    private var headerBytes = 0
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    private let errorText = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    private let isOwner: Bool
    private var completion: ((CurlTransfer, Ending) -> Void)?

    /// Nil when curl has no memory for a handle.
    /// - Parameters:
    ///   - borrowed: a handle to use in place of an own one; it comes back without options, but with its connections.
    ///   - completion: called once, on the loop, when the transfer has ended in whatever way.
    init?(
        upload: [UInt8], responseLimit: Int, borrowed: UnsafeMutableRawPointer? = nil,
        completion: @escaping (CurlTransfer, Ending) -> Void = { _, _ in }
    ) {
        guard let handle = borrowed ?? curl_easy_init() else { return nil }
        easy = handle
        isOwner = borrowed == nil
        self.upload = upload
        self.responseLimit = responseLimit
        self.completion = completion
        errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        let context = Unmanaged.passUnretained(self).toOpaque()
        note(quittance_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText))
        note(quittance_curl_set_data(easy, CURLOPT_WRITEFUNCTION, bodyCallback))
        note(quittance_curl_set_pointer(easy, CURLOPT_WRITEDATA, context))
        note(quittance_curl_set_data(easy, CURLOPT_HEADERFUNCTION, headerCallback))
        note(quittance_curl_set_pointer(easy, CURLOPT_HEADERDATA, context))
        note(quittance_curl_set_data(easy, CURLOPT_READFUNCTION, uploadCallback))
        note(quittance_curl_set_pointer(easy, CURLOPT_READDATA, context))
        note(quittance_curl_set_seek(easy, seekCallback))
        note(quittance_curl_set_pointer(easy, CURLOPT_SEEKDATA, context))
        note(quittance_curl_close_on_exec(easy))
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        set(CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2)
        set(CURLOPT_TCP_KEEPALIVE, 1)
    }

    deinit {
        if isOwner { curl_easy_cleanup(easy) } else { curl_easy_reset(easy) }
        for list in lists { curl_slist_free_all(list) }
        errorText.deallocate()
    }

    // MARK: Options

    func set(_ option: CURLoption, _ value: Int) { note(quittance_curl_set_long(easy, option, value)) }
    func set(_ option: CURLoption, _ value: String) { note(quittance_curl_set_string(easy, option, value)) }

    func set(_ option: CURLoption, milliseconds duration: Duration) {
        // Zero would mean "no limit" to curl.
        let (seconds, attoseconds) = duration.components
        set(option, Int(min(max(seconds, 0), 1_000_000) * 1000 + max(1, attoseconds / 1_000_000_000_000_000)))
    }

    func set(_ option: CURLoption, list items: [String]) {
        var list: UnsafeMutablePointer<curl_slist>?
        for item in items {
            guard let longer = curl_slist_append(list, item) else {
                note(CURLE_OUT_OF_MEMORY)
                break
            }
            list = longer
        }
        guard let list else { return }
        lists.append(list)
        note(quittance_curl_set_list(easy, option, list))
    }

    /// Sends `upload`, whose size is told beforehand.
    func setUploadSize(_ option: CURLoption) { note(quittance_curl_set_offset(easy, option, Int64(upload.count))) }

    func note(_ code: CURLcode) {
        if code != CURLE_OK && refusedOption == nil { refusedOption = code }
    }

    // MARK: Facts

    func number(_ information: CURLINFO) -> Int {
        var value = 0
        quittance_curl_get_long(easy, information, &value)
        return value
    }

    /// Whether curl has taken all of the upload.
    var isWhollySent: Bool { uploaded == upload.count }

    /// What curl said about the failure, in a sentence.
    func failureText(_ code: CURLcode) -> String {
        let detail = String(cString: errorText)
        return detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
    }

    func complete(_ ending: Ending) {
        let body = completion
        completion = nil
        body?(self, ending)
    }

    // MARK: Bytes

    fileprivate func receive(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        guard received.count + bytes.count <= responseLimit else {
            isTooLarge = true
            return false
        }
        received.append(contentsOf: bytes)
        return true
    }

    fileprivate func receiveHeader(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        headerBytes += bytes.count
        guard headerBytes <= Self.headerBytesMax else {
            isTooLarge = true
            return false
        }
        // A status line begins a new answer: what came before was 100 Continue or a redirection.
        if bytes.starts(with: "HTTP/".utf8) { headerLines.removeAll() }
        var line = Array(bytes)
        while let last = line.last, last == 0x0A || last == 0x0D { line.removeLast() }
        if !line.isEmpty { headerLines.append(line) }
        return true
    }

    fileprivate func giveUpload(_ space: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(space.count, upload.count - uploaded)
        upload.withUnsafeBytes { space.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[uploaded..<(uploaded + count)])) }
        uploaded += count
        return count
    }

    /// curl sends again from here, after a kept connection turned out to be dead or a redirection.
    fileprivate func seekUpload(_ offset: Int) -> Bool {
        guard (0...upload.count).contains(offset) else { return false }
        uploaded = offset
        return true
    }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> CurlTransfer? {
    context.map { Unmanaged<CurlTransfer>.fromOpaque($0).takeUnretainedValue() }
}

private func buffer(_ bytes: UnsafeMutablePointer<CChar>?, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: bytes.map { UnsafeRawPointer($0).assumingMemoryBound(to: UInt8.self) }, count: bytes == nil ? 0 : count)
}

private func bodyCallback(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    transfer(context)?.receive(buffer(bytes, size * count)) == true ? size * count : 0
}

private func headerCallback(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    transfer(context)?.receiveHeader(buffer(bytes, size * count)) == true ? size * count : 0
}

private func uploadCallback(_ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?) -> Int {
    transfer(context)?.giveUpload(UnsafeMutableRawBufferPointer(start: bytes, count: size * count)) ?? 0
}

private func seekCallback(_ context: UnsafeMutableRawPointer?, _ offset: curl_off_t, _ origin: Int32) -> Int32 {
    let done = origin == SEEK_SET && transfer(context)?.seekUpload(offset) == true
    return done ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
}
