use super::*;

/// The letters `clocks` of a member, as one update.
fn letters(room: &Room, member: usize, clocks: std::ops::Range<u32>) -> Vec<u8> {
    let client = room.first_client + member as u64;
    let letters: Vec<Vec<u8>> = clocks.map(|clock| yjs::letter(client, clock)).collect();
    yrs::merge_updates_v1(&letters).unwrap()
}

fn room(members: usize) -> (Rc<Room>, Rc<Meter>) {
    let meter = Rc::new(Meter::default());
    meter.start();
    (Room::new("r".into(), 3, members, &meter), meter)
}

#[test]
fn merged_updates_count_as_many_and_echoes_as_none() {
    let (room, meter) = room(3);
    for _ in 0..4 {
        room.type_letter(0);
    }
    assert!(!room.settled());
    room.ear(1).data(Kind::Update, &letters(&room, 0, 0..4));
    assert_eq!(meter.deliveries(), (4, 0));
    room.ear(0).data(Kind::Update, &letters(&room, 0, 0..4));
    room.ear(2).data(Kind::Update, &letters(&room, 0, 0..3));
    assert_eq!(meter.deliveries(), (7, 0));
    assert!(room.missing().unwrap().contains("client 2 of r has 3 of 4"));
    room.ear(2).data(Kind::Update, &letters(&room, 0, 3..4));
    assert!(room.settled());
    assert_eq!(meter.faults(), None);
}

#[test]
fn a_hole_is_a_fault_and_so_is_going_back() {
    let (room, meter) = room(2);
    for _ in 0..3 {
        room.type_letter(0);
    }
    let ear = room.ear(1);
    ear.data(Kind::Update, &letters(&room, 0, 0..1));
    ear.data(Kind::Update, &letters(&room, 0, 2..3));
    assert!(
        meter
            .faults()
            .unwrap()
            .contains("updates 1 to 1 of client 0 of r are missing")
    );
    ear.data(Kind::Update, &letters(&room, 0, 1..2));
    assert!(
        meter
            .faults()
            .unwrap()
            .contains("update 1 of client 0 of r came to client 1 after 2")
    );
}

#[test]
fn what_is_asked_for_may_overlap() {
    let (room, meter) = room(2);
    for _ in 0..3 {
        room.type_letter(0);
    }
    let ear = room.ear(1);
    ear.data(Kind::Update, &letters(&room, 0, 0..2));
    ear.caught_up(&letters(&room, 0, 0..3));
    assert_eq!((meter.faults(), meter.deliveries()), (None, (3, 0)));
    assert_eq!(ear.known(), yjs::state_vector(room.first_client, &[3, 0]));
}

#[test]
fn a_cursor_that_skips_moves_has_delivered_them() {
    let (room, meter) = room(2);
    for _ in 0..3 {
        room.move_cursor(0);
    }
    let client = room.first_client;
    for clock in [1, 3, 2] {
        room.ear(1).data(Kind::Cursor, &yjs::cursor(client, clock));
    }
    assert_eq!((meter.deliveries(), room.settled()), ((0, 3), true));
}

#[test]
fn a_closed_loop_goes_on_when_all_have_it() {
    let (room, _meter) = room(3);
    room.open_loop(2);
    room.ear(1).data(Kind::Update, &letters(&room, 0, 0..2));
    assert_eq!(room.state.borrow().members[0].sent.len(), 2);
    room.ear(2).data(Kind::Update, &letters(&room, 0, 0..1));
    assert_eq!(room.state.borrow().members[0].sent.len(), 3);
}
