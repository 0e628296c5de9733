import Cryptography
import Formats
import ObjectStorage

/// Takes a file from somebody piece by piece, straight to where private objects are kept, and looks at what it is on the way.
public struct FileIntake: Sendable {
    /// What is taken.
    public struct Rules: Sendable {
        public let kinds: Set<FileKind>
        public let sizeMax: Int64
        /// Whether it is taken only while more room is left than is kept free: so it is of strangers, since the rest is kept for what was paid for.
        public let leavesRoom: Bool

        public init(kinds: Set<FileKind>, sizeMax: Int64, leavesRoom: Bool = false) {
            self.kinds = kinds
            self.sizeMax = sizeMax
            self.leavesRoom = leavesRoom
        }

        public static let final = Rules(kinds: FinalAsset.kinds, sizeMax: FinalAsset.sizeMax)
        public static let attachment = Rules(kinds: Set(FileKind.allCases), sizeMax: InquiryAttachment.sizeMax, leavesRoom: true)
        public static let template = Rules(kinds: [.docx], sizeMax: FinalAsset.sizeMax)
    }

    private let name: String
    private let rules: Rules
    private let writer: any ObjectWriter
    private var sniffer = FileSniffer()

    /// - Parameters:
    ///   - folder: such as `finals`; what stands below it is ours to choose.
    ///   - name: what the sender calls it.
    /// - Throws: ``FileIntakeError/storage(_:)`` of code `full` where the disk has less room than the rules leave.
    public init(
        to storage: any ObjectStorage, folder: String, name: String, rules: Rules
    ) async throws(FileIntakeError) {
        self.name = name
        self.rules = rules
        do throws(ObjectStorageError) {
            if rules.leavesRoom { try await storage.checkRoom() }
            writer = try await storage.begin(
                "\(folder)/\(Hex.encode(SecureRandom.bytes(16)))", type: "application/octet-stream")
        } catch {
            throw .storage(error)
        }
    }

    public var size: Int64 { sniffer.size }

    public mutating func write(_ bytes: [UInt8]) async throws(FileIntakeError) {
        guard sniffer.size + Int64(bytes.count) <= rules.sizeMax else { throw .tooLarge(limit: rules.sizeMax) }
        sniffer.receive(bytes)
        do throws(ObjectStorageError) { try await writer.write(bytes) } catch { throw .storage(error) }
    }

    /// The file as it is stored now. On an error nothing is left of it.
    public func finish() async throws(FileIntakeError) -> CheckedFile {
        do throws(FileIntakeError) {
            guard sniffer.size > 0 else { throw .empty }
            guard let kind = sniffer.kind, rules.kinds.contains(kind) else { throw .wrongKind(allowed: rules.kinds) }
            do throws(ObjectStorageError) {
                let stored = try await writer.finish()
                return CheckedFile(path: stored.key, kind: kind, name: FileName(name, kind: kind), sha256: stored.sha256, size: stored.size)
            } catch {
                throw .storage(error)
            }
        } catch {
            await writer.discard()
            throw error
        }
    }

    /// Forgets what came so far.
    public func discard() async { await writer.discard() }

    /// Takes a file that is in memory already.
    public static func take(
        _ bytes: [UInt8], to storage: any ObjectStorage, folder: String, name: String, rules: Rules
    ) async throws(FileIntakeError) -> CheckedFile {
        var intake = try await FileIntake(to: storage, folder: folder, name: name, rules: rules)
        do throws(FileIntakeError) {
            try await intake.write(bytes)
        } catch {
            await intake.discard()
            throw error
        }
        return try await intake.finish()
    }
}

/// Why a file was not taken.
public enum FileIntakeError: Error, Sendable, Equatable, CustomStringConvertible {
    case empty
    case tooLarge(limit: Int64)
    case wrongKind(allowed: Set<FileKind>)
    case storage(ObjectStorageError)

    /// Whether the same file may be taken later.
    public var isTransient: Bool {
        if case .storage(let error) = self { return error.isTransient }
        return false
    }

    public var description: String {
        switch self {
        case .empty: "the file is empty"
        case .tooLarge(let limit): "the file has more than \(limit >> 20) MB"
        case .wrongKind(let allowed):
            "the file is none of \(allowed.map { $0.rawValue.uppercased() }.sorted().joined(separator: ", ")): what is in it counts, not its name"
        case .storage(let error): "the file could not be stored: \(error)"
        }
    }
}
