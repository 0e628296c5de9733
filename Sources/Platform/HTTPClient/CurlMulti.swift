import CCurl
import CEvent
import EventLoop

/// libcurl's multi handle on one loop: all transfers of one client, and the connections kept between them.
///
/// curl says which sockets and which time to watch, libevent watches them, and curl is told what happened. Nothing blocks:
/// names are resolved by curl's own resolver threads.
///
/// `@unchecked Sendable`: everything but `loop` is touched on the loop's thread only, which each method checks.
final class CurlMulti: @unchecked Sendable {
    let loop: EventLoop
    private let connectionsPerHostMax: Int
    private var handle: UnsafeMutableRawPointer?
    private var timer: LoopTimer?
    private var watched: [curl_socket_t: OpaquePointer] = [:]
    private var transfers: [UnsafeMutableRawPointer: CurlTransfer] = [:]
    private var closed = false

    init(loop: EventLoop, connectionsPerHostMax: Int) {
        self.loop = loop
        self.connectionsPerHostMax = connectionsPerHostMax
    }

    /// Left without ``close()`` only by a client that outlived its loop: no thread touches any of it any more.
    deinit {
        if let handle { curl_multi_cleanup(handle) }
        for event in watched.values { event_free(event) }
    }

    /// Begins a transfer; its completion is called later, never from within this call, and exactly once.
    func add(_ transfer: CurlTransfer) {
        loop.preconditionOnLoop()
        guard !closed, let handle = opened() else {
            loop.execute { [box = OnLoop(transfer)] in box.value.complete(.aborted) }
            return
        }
        transfers[transfer.easy] = transfer
        let code = curl_multi_add_handle(handle, transfer.easy)
        guard code == CURLM_OK else {
            transfers[transfer.easy] = nil
            loop.execute { [box = OnLoop(transfer)] in box.value.complete(.finished(CURLE_OUT_OF_MEMORY)) }
            return
        }
    }

    /// Ends a transfer before its time. One that has ended already is left alone.
    func abort(_ transfer: CurlTransfer) {
        loop.preconditionOnLoop()
        guard transfers.removeValue(forKey: transfer.easy) != nil else { return }
        curl_multi_remove_handle(handle, transfer.easy)
        transfer.complete(.aborted)
    }

    /// Aborts all transfers and closes all connections.
    func close() {
        loop.preconditionOnLoop()
        guard !closed else { return }
        closed = true
        for transfer in Array(transfers.values) { abort(transfer) }
        if let handle { curl_multi_cleanup(handle) }
        handle = nil
        timer?.cancel()
        timer = nil
        for event in watched.values { event_free(event) }
        watched = [:]
    }

    // MARK: curl's wishes

    private func opened() -> UnsafeMutableRawPointer? {
        if let handle { return handle }
        guard CurlLibrary.isReady, let made = curl_multi_init() else { return nil }
        CurlLibrary.blockBrokenPipeSignal()
        let context = Unmanaged.passUnretained(self).toOpaque()
        quittance_curl_multi_socket(made, socketWishCallback, context)
        quittance_curl_multi_timer(made, timerWishCallback, context)
        quittance_curl_multi_long(made, CURLMOPT_MAX_HOST_CONNECTIONS, connectionsPerHostMax)
        timer = LoopTimer(on: loop) { [unowned self] in act(on: CURL_SOCKET_TIMEOUT, 0) }
        handle = made
        return made
    }

    fileprivate func watch(_ descriptor: curl_socket_t, _ what: Int32) {
        if let old = watched.removeValue(forKey: descriptor) { event_free(old) }
        let flags: Int32 =
            switch what {
            case CURL_POLL_IN: EV_READ
            case CURL_POLL_OUT: EV_WRITE
            case CURL_POLL_INOUT: EV_READ | EV_WRITE
            default: 0
            }
        guard flags != 0 else { return }
        let context = Unmanaged.passUnretained(self).toOpaque()
        guard let event = event_new(loop.base, descriptor, Int16(flags | EV_PERSIST), socketReadyCallback, context) else { return }
        event_add(event, nil)
        watched[descriptor] = event
    }

    fileprivate func wake(afterMs milliseconds: Int) {
        // Even a wish for now goes through the loop: curl must not be called from its own callback.
        if milliseconds < 0 { timer?.cancel() } else { timer?.start(after: .milliseconds(milliseconds)) }
    }

    fileprivate func act(on descriptor: curl_socket_t, _ what: Int32) {
        guard let handle else { return }
        var running: Int32 = 0
        curl_multi_socket_action(handle, descriptor, what, &running)
        var left: Int32 = 0
        while let message = curl_multi_info_read(handle, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            // The message dies with the next call, so its result is taken first.
            let result = quittance_curl_message_result(message)
            guard let transfer = transfers.removeValue(forKey: easy) else { continue }
            curl_multi_remove_handle(handle, easy)
            transfer.complete(.finished(result))
        }
    }
}

/// Carries what belongs to one loop through a closure that runs on the same loop.
/// `@unchecked Sendable`: made and opened on that loop's thread only.
struct OnLoop<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

private func socketWishCallback(
    _ easy: UnsafeMutableRawPointer?, _ descriptor: curl_socket_t, _ what: Int32, _ context: UnsafeMutableRawPointer?,
    _ socketContext: UnsafeMutableRawPointer?
) -> Int32 {
    guard let context else { return 0 }
    Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue().watch(descriptor, what)
    return 0
}

private func timerWishCallback(_ multi: UnsafeMutableRawPointer?, _ milliseconds: Int, _ context: UnsafeMutableRawPointer?) -> Int32 {
    guard let context else { return 0 }
    Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue().wake(afterMs: milliseconds)
    return 0
}

private func socketReadyCallback(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    var flags: Int32 = 0
    if Int32(what) & EV_READ != 0 { flags |= CURL_CSELECT_IN }
    if Int32(what) & EV_WRITE != 0 { flags |= CURL_CSELECT_OUT }
    Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue().act(on: descriptor, flags)
}
