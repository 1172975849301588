import os

from mt.aio import json_load, json_save, srun

srun(json_save, "config.json", {"colour": "blue"})
try:
    srun(json_save, "config.json", {"colour": {"a set"}})  # JSON has no sets
except TypeError as exc:
    print(exc)
print(srun(json_load, "config.json"), os.listdir())
