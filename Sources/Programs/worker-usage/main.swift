import ProgramStart

ProgramStart.fail("worker-usage: not built")
