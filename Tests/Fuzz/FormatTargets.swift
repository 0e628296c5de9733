import Formats
import JobQueue
import ProviderPort
import UsageSamples

/// Documents: what is read is written so that it is read again as the same, and both readers agree.
struct JSONTarget: FuzzTarget {
    func run(_ input: [UInt8]) {
        let whole = try? JSON(parsing: input)
        if let whole {
            require((try? JSON(parsing: whole.bytes)) == whole, "written JSON is read as another")
            require(String(validating: whole.bytes, as: UTF8.self) != nil, "written JSON is no UTF-8")
        }
        let members = input.withUnsafeBufferPointer { Self.members($0) }
        require((members == nil) == (whole?.object == nil), "the reader of members and that of documents disagree")
        if let members, let object = whole?.object { require(JSON.object(JSONObject(members)) == .object(object), "they read different members") }
        if let form = try? FormURLEncoded.parse(input) {
            let again = try? FormURLEncoded.parse(Array(FormURLEncoded.encode(form.map { ($0.name, $0.value) }).utf8))
            require(again?.elementsEqual(form, by: ==) == true, "a written form is read as another")
        }
    }

    private static func members(_ input: UnsafeBufferPointer<UInt8>) -> [(String, JSON)]? {
        do {
            var reader = try JSONMemberReader(input)
            var found: [(String, JSON)] = []
            while try reader.next() { found.append((reader.name, try reader.value())) }
            // Names that stand twice are for its caller to notice.
            return Set(found.map(\.0)).count == found.count ? found : nil
        } catch {
            return nil
        }
    }
}

/// What lies on the lists: anybody who can push may write it.
struct RecordTarget: FuzzTarget {
    func run(_ input: [UInt8]) {
        if let job = try? JobEnvelope(decoding: input) {
            require((try? JobEnvelope(decoding: job.encoded())) == job, "a job changes when it is put back")
            let again = job.afterAttempt()
            require((try? JobEnvelope(decoding: again.encoded()))?.id == job.id, "a job cannot be read after an attempt")
        }
        if let event = try? ProviderEvent(decoding: input) {
            require((try? ProviderEvent(decoding: event.encoded())) == event, "an event changes when it is put back")
        }
    }
}

/// Usage in every form that it is posted in; what was taken can be read from the list.
struct SampleTarget: FuzzTarget {
    private static let types = ["application/x-ndjson", "application/json", "application/cloudevents-batch+json", "application/cloudevents+json"]

    func run(_ input: [UInt8]) {
        guard let first = input.first else { return }
        let body = Array(input.dropFirst())
        let type = Self.types[Int(first) % Self.types.count]
        let key = first & 4 == 0 ? "batch-1" : nil
        if let batch = try? SampleIntake.read(body, contentType: type, batch: key, source: "s", nowMs: PostingProviders.nowMs) {
            require(batch.rows.allSatisfy { $0.bytes >= 0 && batch.projects.indices.contains(Int($0.project)) }, "a sample of nothing")
            let listed = try? SampleBatch(decoding: batch.encoded())
            require(listed?.rows.count == batch.rows.count && listed?.digest == batch.digest, "a batch changes on the list")
        }
        _ = try? SampleBatch(decoding: body)
    }
}
