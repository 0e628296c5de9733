import Formats

/// What `POST /usage` takes: newline-delimited JSON, a JSON object, or CloudEvents. All or nothing.
public enum SampleIntake {
    /// Faults that are told at once.
    public static let faultsMax = 20

    static let newlineDelimited = "application/x-ndjson"
    static let json = "application/json"
    static let cloudEvents = "application/cloudevents-batch+json"
    static let cloudEvent = "application/cloudevents+json"
    /// The content types that are read; their parameters are not looked at.
    public static let mediaTypes = [newlineDelimited, json, cloudEvents, cloudEvent]

    private enum Form { case newlineDelimited, json, cloudEvents, cloudEvent }

    /// Reads a posted body.
    /// - Parameters:
    ///   - contentType: the header's value, empty when there is none.
    ///   - batch: the `Idempotency-Key`. CloudEvents need none: their unit is then the event.
    ///   - source: whose key it is.
    public static func read(
        _ body: [UInt8], contentType: String, batch: String?, source: String, nowMs: Int64
    ) throws(SampleIntakeError) -> SampleBatch {
        guard let form = form(of: contentType) else { throw .mediaType }
        return try body.withUnsafeBufferPointerTyped { (input) throws(SampleIntakeError) in
            try read(input, as: form, batch: batch, source: source, nowMs: nowMs)
        }
    }

    private static func form(of contentType: String) -> Form? {
        var name = contentType.utf8.prefix { $0 != UInt8(ascii: ";") }.drop(while: isBlank)
        while let last = name.last, isBlank(last) { name.removeLast() }
        switch String(name)?.lowercased() {
        case newlineDelimited: return .newlineDelimited
        case json: return .json
        case cloudEvents: return .cloudEvents
        case cloudEvent: return .cloudEvent
        default: return nil
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func read(
        _ input: UnsafeBufferPointer<UInt8>, as form: Form, batch: String?, source: String, nowMs: Int64
    ) throws(SampleIntakeError) -> SampleBatch {
        let isEvents = form == .cloudEvents || form == .cloudEvent
        let window = (nowMs - SampleWindow.intakeAgeMaxMs)...(nowMs + SampleWindow.futureMaxMs)
        var reader = SampleReader(input, ids: isEvents && batch == nil ? .collected : .ignored, window: window, faultsMax: faultsMax)
        if let batch, !SampleRule.isID(batch, most: SampleBatch.batchIDMax) { reader.fault(header, SampleRule.batchID) }
        var unit = batch
        do throws(SampleScanStop) {
            switch form {
            case .newlineDelimited: try reader.lines()
            case .json: unit = try reader.post(batch: batch)
            case .cloudEvents: try reader.events()
            case .cloudEvent: try reader.singleEvent()
            }
            if unit == nil && !isEvents { reader.fault(header, form == .json ? keyOrBatchIsRequired : keyIsRequired) }
            if let made = reader.batch(source: source, batch: unit) { return made }
        } catch {
            if case .unreadable = error { throw .unreadable("the body \(error.text())") }
        }
        throw .invalid(Array(reader.faults.prefix(faultsMax)))
    }

    static let header = "Idempotency-Key"
    private static let keyIsRequired = "is required: it names the batch, which counts once"
    private static let keyOrBatchIsRequired = "or the member batch is required: it names the batch, which counts once"
}

extension SampleReader {
    /// A sample a line; blank lines are none.
    fileprivate mutating func lines() throws(SampleScanStop) {
        var start = 0
        var line = 0
        while start < scanner.size {
            let end = scanner.endOfLine(from: start)
            line += 1
            scanner.enter(start..<end)
            if !scanner.isBlank() {
                try count()
                place = .line(line)
                try lineOfSample(from: start)
                try goOn()
            }
            start = end + 1
        }
        place = nil
    }

    /// A line that is no JSON is a fault of its own: the others can still be read.
    private mutating func lineOfSample(from start: Int) throws(SampleScanStop) {
        do throws(SampleScanStop) {
            try sample(depth: 0)
            try scanner.finish()
        } catch {
            guard case .unreadable = error else { throw error }
            fault("sample", error.text(from: start))
        }
    }

    /// - Returns: the batch's id, from the header or the body.
    fileprivate mutating func post(batch: String?) throws(SampleScanStop) -> String? {
        let named = try document(.post).batch
        if let named, let batch, named != batch {
            place = nil
            fault("batch", "must be the \(SampleIntake.header) where both are given")
        }
        return batch ?? named
    }
}
