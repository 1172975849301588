from mt.aio import read_text, srun, write_text

srun(write_text, "notes.txt", "whole or not at all\n", durability="full")

print(srun(read_text, "notes.txt"), end="")
