import { Server } from "./support/server.mjs";
import { sqlite } from "./support/databases.mjs";
import { Client } from "./support/client.mjs";
import { processorSeconds, memory } from "./support/process.mjs";
import * as C from "./support/costly.mjs";
const server = await Server.start({ database: sqlite, env: { UPDATES_PER_SECOND: 100000, UPDATES_BURST: 1000000 } });
const eve = await Client.connect(server, { person: { user: "eve" } });
let n=0;
async function attack(name, ups){
  const room=`r${n++}`; await eve.ok("join_room",room);
  const out=[];
  for(const u of ups){const c=processorSeconds(server.pid),t=performance.now();let ack;try{ack=await eve.request("document_update",{room,update:u});}catch(e){ack={ok:false,error:{code:e.message}}}
   out.push(`${(u.length/1024).toFixed(1)}KB ${ack.ok?"ok":ack.error.code} cpu ${(processorSeconds(server.pid)-c).toFixed(2)}s wall ${(performance.now()-t).toFixed(0)}ms`);}
  console.log(name.padEnd(60), out.join(" | "));
}
const [b,m]=[Number(process.argv[2]??4000),Number(process.argv[3]??2000)];
for(const [k,u] of Object.entries({...C.pairs(b,m)})) await attack(k,u);
0&&await attack("alternate", [C.longText(1<<20), C.alternateDeletions(1,0,1<<20)]);
console.log("mem",(memory(server.pid,"VmHWM")/2**20).toFixed(0));
await server.kill9(); process.exit(0);
