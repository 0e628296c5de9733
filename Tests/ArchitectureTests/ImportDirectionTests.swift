import Testing

@Suite("Imports only point down")
struct ImportDirectionTests {
    private let rooms: [Room]
    private let roomOfModule: [String: Room]

    init() throws {
        let declared = try Rooms.declared()
        rooms = declared
        roomOfModule = Dictionary(declared.map { ($0.module, $0) }, uniquingKeysWith: { first, _ in first })
    }

    @Test(
        "an import line is read for its module",
        arguments: [
            ("import JobQueue", "JobQueue"), ("  import Glibc", "Glibc"), ("@testable import Payments", "Payments"),
            ("public import struct Money.Currency", "Money"), ("@preconcurrency import CEvent // the loop", "CEvent"),
        ])
    func readsImport(line: String, module: String) {
        #expect(Rooms.module(importedBy: line[...]) == module)
    }

    @Test("a line that only speaks of imports imports nothing", arguments: ["// import Payments", "let important = 1", "", "importing Payments"])
    func ignoresOtherLines(line: String) {
        #expect(Rooms.module(importedBy: line[...]) == nil)
    }

    @Test("every folder of Sources is a room of Package.swift, and every room a folder")
    func roomsAreFolders() throws {
        var folders: Set<String> = []
        for floor in try SourceTree.names(in: "Sources") {
            #expect(Room.floors[floor] != nil, "Sources/\(floor) is no floor of the house")
            for name in try SourceTree.names(in: "Sources/\(floor)") where SourceTree.isFolder("Sources/\(floor)/\(name)") {
                folders.insert("Sources/\(floor)/\(name)")
            }
        }
        #expect(folders.symmetricDifference(rooms.map(\.folder)).isEmpty)
        #expect(rooms.count > 30)
    }

    @Test("a room imports only rooms below it, on its own floor only those declared before it")
    func importsPointDown() throws {
        for room in rooms {
            for path in try SourceTree.files(below: room.folder, ending: ".swift") {
                for found in try Rooms.imports(of: path) {
                    guard let other = roomOfModule[found.module], other != room else { continue }
                    #expect(
                        other.height <= room.height && other.place < room.place,
                        "\(path):\(found.line): \(room.floor)/\(room.name) may not import \(other.floor)/\(other.name)")
                }
            }
        }
    }

    @Test("no program is imported, by anything")
    func programsAreLeaves() throws {
        for path in try SourceTree.files(below: "Sources", ending: ".swift") {
            for found in try Rooms.imports(of: path) {
                #expect(roomOfModule[found.module]?.floor != "Programs", "\(path):\(found.line) imports a program")
            }
        }
    }

    @Test("C modules are imported in Platform only")
    func cStaysInPlatform() throws {
        for path in try SourceTree.files(below: "Sources", ending: ".swift") where !path.hasPrefix("Sources/Platform/") {
            for found in try Rooms.imports(of: path) {
                #expect(roomOfModule[found.module]?.floor != "Shims", "\(path):\(found.line) imports \(found.module)")
            }
        }
    }

    @Test("JobQueue knows neither Redis nor SQL nor payments")
    func jobQueueStandsAlone() throws {
        let allowed: Set<String> = ["Formats", "Telemetry", "EventLoop", "Cryptography"]
        for path in try SourceTree.files(below: "Sources/JobQueue/JobQueue", ending: ".swift") {
            for found in try Rooms.imports(of: path) where roomOfModule[found.module] != nil {
                #expect(allowed.contains(found.module), "\(path):\(found.line) imports \(found.module)")
            }
        }
    }

    @Test("a provider's room is known to no capability and no other provider but its port, and to those that reuse its signature")
    func providersAreUnknownToCapabilities() throws {
        for path in try SourceTree.files(below: "Sources/Domain", ending: ".swift") {
            for found in try Rooms.imports(of: path) {
                guard let other = roomOfModule[found.module], other.floor == "Providers" else { continue }
                #expect(["ProviderPort", "MessagePort"].contains(other.name), "\(path):\(found.line) knows the provider \(other.name)")
            }
        }
    }

    @Test("rooms that import each other do not exist")
    func noCycle() throws {
        var imported: [Room: Set<Room>] = [:]
        for room in rooms {
            for path in try SourceTree.files(below: room.folder, ending: ".swift") {
                for found in try Rooms.imports(of: path) {
                    if let other = roomOfModule[found.module], other != room { imported[room, default: []].insert(other) }
                }
            }
        }
        var finished: Set<Room> = []
        func visit(_ room: Room, _ path: [Room]) {
            if let start = path.firstIndex(of: room) {
                Issue.record("cycle: \((path[start...] + [room]).map(\.name).joined(separator: " → "))")
                return
            }
            guard !finished.contains(room) else { return }
            for other in imported[room, default: []] { visit(other, path + [room]) }
            finished.insert(room)
        }
        for room in rooms { visit(room, []) }
    }
}
