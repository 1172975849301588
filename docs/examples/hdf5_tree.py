from mt.aio.core import srun
from mt.aio.h5 import H5Item, h5_load, h5_save

tree = {"run": {"speed": H5Item([3.5, 4.0, 4.5], {"unit": "m/s"}), "name": "first"}}
srun(h5_save, "run.h5", tree)
print(srun(h5_load, "run.h5", "run/name"))
print(srun(h5_load, "run.h5", {"run/speed": slice(1, None)}))
