@0xf2a4d1e07c5b9386;
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("bench");

interface Echo {
  echo @0 (body :Data) -> (body :Data);
}
