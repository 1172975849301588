from atomicwrites import atomic_write

with atomic_write("notes.txt", overwrite=True) as file:
    file.write("whole or not at all\n")

with open("notes.txt") as file:
    print(file.read(), end="")
