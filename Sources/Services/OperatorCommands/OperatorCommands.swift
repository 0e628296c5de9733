/// Placeholder of the room OperatorCommands, replaced by its first file.
enum OperatorCommandsRoom {}
